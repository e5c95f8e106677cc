//! Statistics: read from the nodes every 2 s while a page shows them and every
//! 10 s otherwise, turned into speeds, and stored in batches every 10 s. Where a
//! tenant is near the end of its data, the counters are read and stored sooner.
//!
//! Storing has a loop of its own, so a slow database does not delay the speeds
//! on the pages. There is one batch at a time, and what becomes due meanwhile is
//! a single flag and not a queue: the next batch is made of the counters as they
//! are by then.

use super::readings::Readings;
use crate::{control_planes::Leases, quota::Quotas};
use domain::{
    Clock, NodeId, TenantId, TenantName, TenantScope, Timestamp,
    view::{DeviceView, QueryCounts, SpeedSample},
};
use futures_util::future::join_all;
use protocol::{Location, Nodes};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{DeviceRecord, Recorded, Store};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How often the nodes are read while a page shows statistics.
const WATCHED_INTERVAL: Duration = Duration::from_secs(2);
/// Every fifth reading is stored. It is the only one made while no page shows
/// statistics.
const STORE_EVERY: u32 = 5;
/// How long all nodes wait for the slowest one. Its reading counts when it is done.
const SLOWEST: Duration = Duration::from_secs(1);
/// Shortest time between two removals of old statistics.
const PRUNE_INTERVAL: Duration = Duration::from_secs(9);
/// How long the removal of a device waits for its traffic to be counted.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);
/// Shortest time between two requests for AdGuard Home's counts.
const COUNTS_INTERVAL_MILLIS: i64 = 10_000;

/// What a reading is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadingKind {
    /// Pages show it.
    Shown,
    /// Pages show it, and it is stored.
    Stored,
    /// It is stored; the speeds that pages show are measured at regular times only.
    Counters,
}

/// What is done with a node once at a time.
#[derive(Debug, Default)]
struct Gate {
    /// Locked while the node is read.
    reading: tokio::sync::Mutex<()>,
    /// Locked while a reading is stored.
    storing: tokio::sync::Mutex<()>,
    /// When the counters were last read for a removal.
    counted: tokio::sync::Mutex<Option<Instant>>,
}

pub(crate) struct Meter {
    store: Store,
    nodes: Arc<dyn Nodes>,
    clock: Arc<dyn Clock>,
    readings: Mutex<Readings>,
    quotas: Arc<Quotas>,
    leases: Arc<Leases>,
    ticks: watch::Sender<u64>,
    /// How long the last reading took.
    took: Mutex<Duration>,
    gates: Mutex<HashMap<NodeId, Arc<Gate>>>,
    /// Notified when readings should be stored. Two notifications are one.
    due: Notify,
}

impl Meter {
    pub(crate) fn new(
        store: Store,
        nodes: Arc<dyn Nodes>,
        clock: Arc<dyn Clock>,
        quotas: Arc<Quotas>,
        leases: Arc<Leases>,
    ) -> Self {
        Self {
            store,
            nodes,
            clock,
            readings: Mutex::default(),
            quotas,
            leases,
            took: Mutex::default(),
            gates: Mutex::default(),
            ticks: watch::Sender::new(0),
            due: Notify::new(),
        }
    }

    fn readings(&self) -> MutexGuard<'_, Readings> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn took(&self) -> MutexGuard<'_, Duration> {
        self.took.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self, node: NodeId) -> Arc<Gate> {
        let gates = self.gates.lock();
        let mut gates = gates.unwrap_or_else(PoisonError::into_inner);
        gates.entry(node).or_default().clone()
    }

    /// Returns a receiver that notices every reading. While one exists, the nodes
    /// are read every 2 s.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// Returns how many devices had a handshake after that, of the nodes that are read here.
    pub(crate) fn online(&self, since: Timestamp) -> u64 {
        self.readings().online(since)
    }

    /// Reads and stores until dropped.
    pub(crate) async fn run(self: &Arc<Self>) {
        tokio::join!(self.read_at_intervals(), self.store_when_due());
    }

    async fn read_at_intervals(self: &Arc<Self>) {
        let mut ticks = tokio::time::interval(WATCHED_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut count = 0_u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.quotas.reading_is_due() => {
                    self.read_all(ReadingKind::Counters).await;
                    continue;
                }
            }
            let is_stored = count.is_multiple_of(STORE_EVERY);
            count = count.wrapping_add(1);
            if is_stored || self.ticks.receiver_count() > 0 {
                self.read(is_stored).await;
                self.readings().forget_old_speeds(self.clock.now());
                self.ticks.send_modify(|n| *n += 1);
            }
        }
    }

    /// Reads the nodes once, all at the same time: those that are this control plane's to
    /// count, and every other one that it hears while a page is open. The reading of the
    /// former is stored if `is_stored`.
    pub(crate) async fn read(self: &Arc<Self>, is_stored: bool) {
        let kind = match is_stored {
            true => ReadingKind::Stored,
            false => ReadingKind::Shown,
        };
        self.read_all(kind).await;
    }

    async fn read_all(self: &Arc<Self>, kind: ReadingKind) {
        let begin = Instant::now();
        let are_all = kind != ReadingKind::Counters && self.ticks.receiver_count() > 0;
        let is_stored = kind != ReadingKind::Shown;
        let nodes = self.nodes.ids().into_iter().filter_map(|node| {
            let is_own = self.leases.holds(node);
            let kind = match is_own {
                true => kind,
                false => ReadingKind::Shown,
            };
            (is_own || are_all).then_some((node, kind))
        });
        let read = nodes.map(|(node, kind)| {
            let meter = self.clone();
            tokio::spawn(async move {
                let is_read = meter.read_node(node, kind).await;
                if is_read && kind != ReadingKind::Shown {
                    meter.due.notify_one();
                }
                is_read
            })
        });
        let read = join_all(read);
        let is_any_read = match tokio::time::timeout(SLOWEST, read).await {
            Ok(read) => read.iter().any(|read| *read.as_ref().unwrap_or(&false)),
            Err(_) => false,
        };
        *self.took() = begin.elapsed();
        if is_stored && !is_any_read {
            self.quotas.arm(begin.elapsed());
        }
    }

    /// Reads a node. Returns whether it answered.
    async fn read_node(&self, node: NodeId, kind: ReadingKind) -> bool {
        // One at a time, for the same reason as in `store_changes`.
        let gate = self.gate(node);
        let _reading = gate.reading.lock().await;
        let is_own = kind != ReadingKind::Shown || self.leases.holds(node);
        let known = self.readings().taken(node, is_own);
        let is_known = known.is_some();
        let earlier = match known {
            Some(earlier) => Some(earlier),
            // What is stored covers everything up to then, whichever control plane stored it.
            None => self.store.last_reading(node).await.unwrap_or_default(),
        };
        let read = match &earlier {
            Some(earlier) => self.nodes.statistics_since(node, earlier).await,
            None => self.nodes.statistics(node).await,
        };
        match read {
            Ok(read) => {
                let mut readings = self.readings();
                if !is_known && earlier.is_some() {
                    readings.forget(node);
                } else if !is_own {
                    readings.forget_idle(node);
                }
                match kind {
                    ReadingKind::Counters => readings.update_counters(node, read),
                    ReadingKind::Shown | ReadingKind::Stored => {
                        readings.apply(node, read, self.clock.now());
                    }
                }
                true
            }
            Err(problem) => {
                tracing::debug!(%node, ?problem, "statistics could not be read");
                false
            }
        }
    }

    pub(crate) async fn store_when_due(&self) {
        let mut pruned: Option<Instant> = None;
        loop {
            self.due.notified().await;
            let now = self.clock.now();
            let nodes: Vec<_> = self.readings().nodes.keys().copied().collect();
            for node in nodes.into_iter().filter(|node| self.leases.holds(*node)) {
                self.store_changes(node, now).await;
            }
            if self.leases.holds_jobs() && pruned.is_none_or(|at| at.elapsed() >= PRUNE_INTERVAL) {
                pruned = Some(Instant::now());
                if let Err(e) = self.store.prune_statistics(now).await {
                    tracing::warn!(error = ?e, "old statistics could not be removed");
                }
            }
            let took = *self.took();
            self.quotas.arm(took);
        }
    }

    /// Stores every peer of a node that has changed since it was last stored. If
    /// that fails, the next batch includes it: counters lose nothing.
    async fn store_changes(&self, node: NodeId, now: Timestamp) {
        // One at a time: an older reading behind a newer one would look like counters
        // that restarted. Of two control planes the database refuses the older one.
        let gate = self.gate(node);
        let _storing = gate.storing.lock().await;
        let Some(changed) = self.readings().changed(node) else {
            return;
        };
        let (samples, taken) = (changed.samples, changed.taken.as_ref());
        match self
            .store
            .record_statistics(node, &samples, taken, now)
            .await
        {
            Ok(Recorded::Stored(quotas)) => self.quotas.recorded(node, quotas, now).await,
            Ok(Recorded::Outdated) => {
                tracing::debug!(%node, "another control plane has stored a newer reading");
                return;
            }
            Err(e) => {
                tracing::warn!(error = ?e, "statistics could not be stored; the next batch includes them");
                return;
            }
        }
        self.readings().note_stored(node, samples);
    }

    /// Reads the counters of a tenant's node and stores them before a device of the tenant
    /// is removed, so that no traffic is left uncounted. It waits for it 2 s at most.
    pub(crate) async fn count_before_removal(&self, scope: &TenantScope) {
        // A tenant that cannot be read is not removed from either.
        let Ok(record) = self.store.tenant(scope).await else {
            return;
        };
        self.count_before_end(record.node, scope.tenant()).await;
    }

    /// Does the same before counters of a tenant on a node end, as by a move.
    pub(crate) async fn count_before_end(&self, node: NodeId, tenant: TenantId) {
        if !self.quotas.may_have_limit(node, tenant) {
            return;
        }
        let counting = self.count_now(node, Instant::now());
        if tokio::time::timeout(COUNT_TIMEOUT, counting).await.is_err() {
            tracing::warn!(%tenant, "traffic before its counters end could not be read in time");
        }
    }

    /// Reads and stores the counters of a node, unless that has been done since `asked`.
    /// Several callers share one reading, and readings are not more frequent than others.
    async fn count_now(&self, node: NodeId, asked: Instant) {
        let gate = self.gate(node);
        let mut counted = gate.counted.lock().await;
        if let Some(last) = *counted {
            if last >= asked {
                return;
            }
            let due = last + self.quotas.pause_after(*self.took());
            tokio::time::sleep_until(due).await;
        }
        *counted = Some(Instant::now());
        self.read_node(node, ReadingKind::Counters).await;
        self.store_changes(node, self.clock.now()).await;
    }

    /// Returns a number that is another one after each reading that a [`DeviceView`] may show.
    pub(crate) fn changes(&self) -> u64 {
        self.readings().changes()
    }

    /// Returns a device with its current speeds, endpoint and handshake.
    pub(crate) fn device_view(&self, d: &DeviceRecord) -> DeviceView {
        let r = self.readings().peer(&d.public_key).unwrap_or_default();
        // The totals do not include the traffic since the last batch yet, whichever control
        // plane stored it.
        let (rx, tx) = d.counted;
        let (up, down) = (r.rx.saturating_sub(rx), r.tx.saturating_sub(tx));
        DeviceView {
            id: d.id,
            label: d.label.to_string(),
            address: d.address.to_string(),
            ipv6: None,
            host_name: String::new(),
            public_key: d.public_key.to_string(),
            policy: d.policy,
            mesh: d.mesh,
            routing: d.routing,
            options: d.options,
            created_at: d.created_at,
            last_handshake: r.last_handshake.max(d.last_handshake),
            endpoint: r
                .endpoint
                .map(|e| e.to_string())
                .or_else(|| d.endpoint.clone()),
            down_bytes: d.tx_total.saturating_add(down),
            up_bytes: d.rx_total.saturating_add(up),
            down_bps: r.tx_bps,
            up_bps: r.rx_bps,
        }
    }

    /// Returns the speeds of a tenant in the last minute.
    pub(crate) fn speeds(&self, at: Location) -> Vec<SpeedSample> {
        self.readings().speeds(at)
    }

    /// Returns AdGuard Home's last known counts. Requests new ones in the
    /// background if they are old.
    pub(crate) fn counts(self: &Arc<Self>, at: Location, name: &TenantName) -> Option<QueryCounts> {
        let now = self.clock.now();
        let mut readings = self.readings();
        let known = readings.counts.get(&at).filter(|(n, ..)| n == name);
        let counts = known.and_then(|(_, _, c)| *c);
        if known.is_none_or(|(_, since, _)| now.millis_since(*since) > COUNTS_INTERVAL_MILLIS) {
            // The time is noted first, so that many viewers cause one request.
            readings.counts.insert(at, (name.clone(), now, counts));
            let (meter, name) = (self.clone(), name.clone());
            tokio::spawn(async move {
                if let Ok(new) = meter.nodes.dns_counts(at, &name).await {
                    meter
                        .readings()
                        .counts
                        .insert(at, (name, meter.clock.now(), Some(new)));
                }
            });
        }
        counts
    }
}
