//! Tells pages when to read again what they show.

mod notifier;

pub(crate) use notifier::TenantNotifier;

use crate::{follow::SeenEntries, inner::Inner, nodes::location};
use domain::{TenantName, TenantReadScope, TenantStatus, Topic};
use futures_util::stream::{self, BoxStream, StreamExt};
use protocol::{Location, Nodes};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

/// How often a page without statistics reads again what it shows, where another control
/// plane may have changed it. Of most changes it learns at once, by the node's state.
const OTHERS_INTERVAL: Duration = Duration::from_secs(10);

/// How often a log is read again: where another control plane may write it, and where none does.
const LOG_INTERVAL: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// The handle on what changes while a page is open.
#[derive(Clone, Copy)]
pub struct Watch<'a>(pub(crate) &'a Inner);

impl Watch<'_> {
    /// Returns a stream that yields when the topic's view should be read again: at
    /// once, and at every change of the tenant's rows or status. A topic with
    /// statistics yields with every reading of them too, and while its stream
    /// exists, they are read every 2 s; another topic yields every 10 s where there may be
    /// other control planes. What other tenants do wakes nothing. A
    /// deletion yields once more; for a tenant that does not exist, the stream is
    /// empty.
    pub fn changes(self, scope: &TenantReadScope, topic: Topic) -> BoxStream<'static, ()> {
        let inner = self.0;
        let (store, nodes, scope) = (inner.store.clone(), inner.nodes.clone(), scope.clone());
        let rows = inner.notifier.watch(scope.tenant());
        let readings = has_statistics(topic).then(|| inner.meter.watch());
        let others = (readings.is_none() && !store.is_sqlite()).then(|| {
            let mut ticks = interval_at(Instant::now() + OTHERS_INTERVAL, OTHERS_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let begin = async move {
            let tenant = store.tenant(&scope).await.ok()?;
            let at = location(&tenant);
            // Changes are noticed from here on, so that none is missed.
            let states = nodes.tenant_changes(at);
            Some(Signals {
                rows,
                states,
                status: visible(nodes.as_ref(), at),
                nodes,
                at,
                readings,
                others,
                is_first: true,
            })
        };
        stream::once(begin)
            .filter_map(std::future::ready)
            .flat_map(|signals| {
                stream::unfold(signals, async |mut signals| {
                    signals.next().await.map(|()| ((), signals))
                })
            })
            .boxed()
    }
}

/// What a reader of a log waits for.
impl Watch<'_> {
    /// Returns a number that is another one after each write of this process.
    pub fn writes(self) -> u64 {
        self.0.store.writes()
    }

    /// Waits until something was written since [`writes`](Self::writes) returned `known`, so
    /// that there may be new entries in a log that was read at `read_at`. What other control
    /// planes and programs have written is not known: the wait ends 2 s after that time where
    /// there may be other control planes, and 10 s after it otherwise.
    pub async fn written_since(self, known: u64, read_at: Instant) {
        let store = &self.0.store;
        let interval = LOG_INTERVAL[usize::from(store.is_sqlite())];
        let written = store.written_since(known);
        let _ = tokio::time::timeout_at(read_at + interval, written).await;
    }

    /// Returns what a reader has that begins behind the entry with the number `floor`, and has
    /// seen those.
    pub fn seen_entries(self, floor: i64, seen: impl IntoIterator<Item = i64>) -> SeenEntries {
        SeenEntries::new(floor, seen, Instant::now(), self.0.store.is_sqlite())
    }

    /// Returns what a reader has that goes on behind an entry.
    pub fn seen_until(self, last: i64) -> SeenEntries {
        SeenEntries::again(last, Instant::now(), self.0.store.is_sqlite())
    }
}

/// Returns whether a topic's view contains speeds and handshakes.
const fn has_statistics(topic: Topic) -> bool {
    match topic {
        Topic::Overview | Topic::Network | Topic::Device(_) => true,
        Topic::Progress => false,
    }
}

/// What a page shows of a slot's state.
type Visible = Option<(TenantName, TenantStatus)>;

/// Returns what a page shows of the state. The newest generation in force is no
/// part of it: it changes with every other tenant's change.
fn visible(nodes: &dyn Nodes, at: Location) -> Visible {
    nodes.tenant(at).map(|s| (s.name, s.status))
}

/// What wakes one stream.
struct Signals {
    rows: watch::Receiver<()>,
    states: BoxStream<'static, ()>,
    nodes: Arc<dyn Nodes>,
    at: Location,
    /// The last state that woke the stream.
    status: Visible,
    readings: Option<watch::Receiver<u64>>,
    /// When what other control planes may have changed is due.
    others: Option<Interval>,
    /// Whether the stream has not yielded anything yet.
    is_first: bool,
}

impl Signals {
    /// Waits for the next signal. Returns `None` once there cannot be another one.
    async fn next(&mut self) -> Option<()> {
        if std::mem::replace(&mut self.is_first, false) {
            return Some(());
        }
        loop {
            tokio::select! {
                changed = self.rows.changed() => return changed.ok(),
                changed = next_reading(self.readings.as_mut()) => return changed.ok(),
                () = next_tick(self.others.as_mut()) => return Some(()),
                changed = self.states.next() => changed?,
            }
            let status = visible(self.nodes.as_ref(), self.at);
            if status != self.status {
                self.status = status;
                return Some(());
            }
        }
    }
}

async fn next_tick(ticks: Option<&mut Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

async fn next_reading(
    readings: Option<&mut watch::Receiver<u64>>,
) -> Result<(), watch::error::RecvError> {
    match readings {
        Some(readings) => readings.changed().await,
        None => std::future::pending().await,
    }
}
