//! Statistics: read from the nodes every 2 s while a page shows them and every
//! 10 s otherwise, turned into speeds, and stored in batches every 10 s. Where a
//! tenant is near the end of its data, the counters are read and stored sooner.
//!
//! Storing has a loop of its own, so a slow database does not delay the speeds
//! on the pages. There is one batch at a time, and what becomes due meanwhile is
//! a single flag and not a queue: the next batch is made of the counters as they
//! are by then.

use super::readings::Readings;
use crate::quota::Quotas;
use domain::{
    Clock, NodeId, TenantId, TenantName, Timestamp,
    view::{DeviceView, QueryCounts, SpeedSample},
};
use futures_util::future::join_all;
use protocol::{Location, Nodes};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{DeviceRecord, Store};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How often the nodes are read while a page shows statistics.
const WATCHED_INTERVAL: Duration = Duration::from_secs(2);
/// Every fifth reading is stored. It is the only one made while no page shows
/// statistics.
const STORE_EVERY: u32 = 5;
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

pub(crate) struct Meter {
    store: Store,
    nodes: Arc<dyn Nodes>,
    clock: Arc<dyn Clock>,
    readings: Mutex<Readings>,
    quotas: Arc<Quotas>,
    ticks: watch::Sender<u64>,
    /// How long the last reading took.
    took: Mutex<Duration>,
    /// Locked while the nodes are read.
    reading: tokio::sync::Mutex<()>,
    /// Locked while a reading is stored.
    storing: tokio::sync::Mutex<()>,
    /// When the counters were last read for a removal.
    counted: tokio::sync::Mutex<Option<Instant>>,
    /// Notified when readings should be stored. Two notifications are one.
    due: Notify,
}

impl Meter {
    pub(crate) fn new(
        store: Store,
        nodes: Arc<dyn Nodes>,
        clock: Arc<dyn Clock>,
        quotas: Arc<Quotas>,
    ) -> Self {
        Self {
            store,
            nodes,
            clock,
            readings: Mutex::default(),
            quotas,
            took: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            storing: tokio::sync::Mutex::default(),
            counted: tokio::sync::Mutex::default(),
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

    /// Returns a receiver that notices every reading. While one exists, the nodes
    /// are read every 2 s.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// Reads and stores until dropped.
    pub(crate) async fn run(&self) {
        tokio::join!(self.read_at_intervals(), self.store_when_due());
    }

    async fn read_at_intervals(&self) {
        let mut ticks = tokio::time::interval(WATCHED_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut count = 0_u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.quotas.reading_is_due() => {
                    self.read_as(ReadingKind::Counters).await;
                    continue;
                }
            }
            let is_stored = count.is_multiple_of(STORE_EVERY);
            count = count.wrapping_add(1);
            if is_stored || self.ticks.receiver_count() > 0 {
                self.read(is_stored).await;
                self.ticks.send_modify(|n| *n += 1);
            }
        }
    }

    /// Reads every node once, all at the same time. The reading is stored if
    /// `is_stored`.
    pub(crate) async fn read(&self, is_stored: bool) {
        let kind = match is_stored {
            true => ReadingKind::Stored,
            false => ReadingKind::Shown,
        };
        self.read_as(kind).await;
    }

    async fn read_as(&self, kind: ReadingKind) {
        // One at a time, for the same reason as in `store_changes`.
        let _reading = self.reading.lock().await;
        let begin = Instant::now();
        let read = async |node| match self.nodes.statistics(node).await {
            Ok(s) => {
                let mut readings = self.readings();
                match kind {
                    ReadingKind::Counters => readings.update_counters(node, &s),
                    ReadingKind::Shown | ReadingKind::Stored => {
                        readings.apply(node, &s, self.clock.now())
                    }
                }
                true
            }
            Err(problem) => {
                tracing::debug!(%node, ?problem, "statistics could not be read");
                false
            }
        };
        let read = join_all(self.nodes.ids().into_iter().map(read)).await;
        *self.took() = begin.elapsed();
        if kind != ReadingKind::Shown {
            match read.contains(&true) {
                true => self.due.notify_one(),
                false => self.quotas.arm(begin.elapsed()),
            }
        }
    }

    pub(crate) async fn store_when_due(&self) {
        let mut pruned: Option<Instant> = None;
        loop {
            self.due.notified().await;
            let now = self.clock.now();
            let nodes: Vec<_> = self.readings().nodes.keys().copied().collect();
            for node in nodes {
                self.store_changes(node, now).await;
            }
            if pruned.is_none_or(|at| at.elapsed() >= PRUNE_INTERVAL) {
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
        // that restarted.
        let _storing = self.storing.lock().await;
        let changed = self.readings().changed(node);
        if changed.is_empty() {
            return;
        }
        match self.store.record_statistics(node, &changed, now).await {
            Ok(quotas) => self.quotas.recorded(node, quotas, now).await,
            Err(e) => {
                tracing::warn!(error = ?e, "statistics could not be stored; the next batch includes them");
                return;
            }
        }
        self.readings().note_stored(node, changed);
    }

    /// Reads the counters and stores them before a device of a tenant is removed, so
    /// that no traffic is left uncounted. It waits for it 2 s at most.
    pub(crate) async fn count_before_removal(&self, tenant: TenantId) {
        if !self.quotas.may_have_limit(tenant) {
            return;
        }
        let counting = self.count_now(Instant::now());
        if tokio::time::timeout(COUNT_TIMEOUT, counting).await.is_err() {
            tracing::warn!(%tenant, "the traffic of a removed device could not be read in time");
        }
    }

    /// Reads and stores the counters, unless that has been done since `asked`. Several
    /// callers share one reading, and readings are not more frequent than others.
    async fn count_now(&self, asked: Instant) {
        let mut counted = self.counted.lock().await;
        if let Some(last) = *counted {
            if last >= asked {
                return;
            }
            let due = last + self.quotas.pause_after(*self.took());
            tokio::time::sleep_until(due).await;
        }
        *counted = Some(Instant::now());
        self.read_as(ReadingKind::Counters).await;
        let now = self.clock.now();
        for node in self.nodes.ids() {
            self.store_changes(node, now).await;
        }
    }

    /// Returns a device with its current speeds, endpoint and handshake.
    pub(crate) fn device_view(&self, d: DeviceRecord) -> DeviceView {
        let r = self.readings().peer(&d.public_key).unwrap_or_default();
        // The totals do not include the traffic since the last batch yet.
        let (up, down) = r.stored.map_or((0, 0), |(rx, tx, _)| {
            (r.rx.saturating_sub(rx), r.tx.saturating_sub(tx))
        });
        DeviceView {
            id: d.id,
            label: d.label.to_string(),
            address: d.address.to_string(),
            public_key: d.public_key.to_string(),
            policy: d.policy,
            mesh: d.mesh,
            routing: d.routing,
            created_at: d.created_at,
            last_handshake: r.last_handshake.max(d.last_handshake),
            endpoint: r.endpoint.map(|e| e.to_string()).or(d.endpoint),
            down_bytes: d.tx_total.saturating_add(down),
            up_bytes: d.rx_total.saturating_add(up),
            down_bps: r.tx_bps,
            up_bps: r.rx_bps,
        }
    }

    /// Returns the speeds of a tenant in the last minute.
    pub(crate) fn speeds(&self, at: Location) -> Vec<SpeedSample> {
        self.readings()
            .speeds
            .get(&at)
            .map(|s| s.iter().copied().collect())
            .unwrap_or_default()
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
