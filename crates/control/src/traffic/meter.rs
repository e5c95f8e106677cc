//! Statistics: read from the node every 2 s while a page shows them and every
//! 10 s otherwise, turned into speeds, and stored in batches every 10 s.
//!
//! Storing has a loop of its own, so a slow database does not delay the speeds
//! on the pages. There is one batch at a time, and what becomes due meanwhile is
//! a single flag and not a queue: the next batch is made of the counters as they
//! are by then.

use domain::{
    NodeId, PublicKey, Slot, TenantName, Timestamp,
    view::{DeviceView, QueryCounts, SpeedSample},
};
use provisioning::{Clock, NodeHandle, observed::PeerStatistics};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{DeviceRecord, StatSample, Store};
use tokio::sync::{Notify, watch};

/// How often the node is read while a page shows statistics.
const WATCHED_INTERVAL: Duration = Duration::from_secs(2);
/// Every fifth reading is stored. It is the only one made while no page shows
/// statistics.
const STORE_EVERY: u32 = 5;
/// Speeds remembered for each slot: a minute of them.
const MAX_SPEEDS: usize = 30;
/// Shortest time between two requests for AdGuard Home's counts.
const COUNTS_INTERVAL_MILLIS: i64 = 10_000;

/// The last reading of a peer.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    rx: u64,
    tx: u64,
    rx_bps: u64,
    tx_bps: u64,
    last_handshake: Option<Timestamp>,
    endpoint: Option<SocketAddr>,
    /// The counters of the last reading that was stored.
    stored: Option<(u64, u64, Option<Timestamp>)>,
}

#[derive(Debug, Default)]
struct Readings {
    at: Option<Timestamp>,
    peers: HashMap<PublicKey, Reading>,
    speeds: HashMap<Slot, VecDeque<SpeedSample>>,
    counts: HashMap<Slot, (TenantName, Timestamp, Option<QueryCounts>)>,
}

pub(crate) struct Meter {
    store: Store,
    node_id: NodeId,
    node: NodeHandle,
    clock: Arc<dyn Clock>,
    readings: Mutex<Readings>,
    ticks: watch::Sender<u64>,
    /// Notified when readings should be stored. Two notifications are one.
    due: Notify,
}

impl Meter {
    pub(crate) fn new(
        store: Store,
        node_id: NodeId,
        node: NodeHandle,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            node_id,
            node,
            clock,
            readings: Mutex::default(),
            ticks: watch::Sender::new(0),
            due: Notify::new(),
        }
    }

    fn readings(&self) -> MutexGuard<'_, Readings> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a receiver that notices every reading. While one exists, the node
    /// is read every 2 s.
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
            ticks.tick().await;
            let is_stored = count.is_multiple_of(STORE_EVERY);
            count = count.wrapping_add(1);
            if is_stored || self.ticks.receiver_count() > 0 {
                self.read(is_stored).await;
                self.ticks.send_modify(|n| *n += 1);
            }
        }
    }

    /// Reads the node once. The reading is stored if `is_stored`.
    pub(crate) async fn read(&self, is_stored: bool) {
        let statistics = match self.node.statistics().await {
            Ok(s) => s,
            Err(e) => {
                tracing::debug!(error = %e, "statistics could not be read");
                return;
            }
        };
        self.readings().apply(&statistics, self.clock.now());
        if is_stored {
            self.due.notify_one();
        }
    }

    pub(crate) async fn store_when_due(&self) {
        loop {
            self.due.notified().await;
            let now = self.clock.now();
            self.store_changes(now).await;
            if let Err(e) = self.store.prune_statistics(now).await {
                tracing::warn!(error = ?e, "old statistics could not be removed");
            }
        }
    }

    /// Stores every peer that has changed since it was last stored. If that
    /// fails, the next batch includes it: counters lose nothing.
    async fn store_changes(&self, now: Timestamp) {
        let changed: Vec<StatSample> = self
            .readings()
            .peers
            .iter()
            .filter(|(_, r)| r.stored != Some((r.rx, r.tx, r.last_handshake)))
            .map(|(key, r)| StatSample {
                public_key: *key,
                rx_bytes: r.rx,
                tx_bytes: r.tx,
                last_handshake: r.last_handshake,
                endpoint: r.endpoint,
            })
            .collect();
        if changed.is_empty() {
            return;
        }
        let stored = self.store.record_statistics(self.node_id, &changed, now);
        if let Err(e) = stored.await {
            tracing::warn!(error = ?e, "statistics could not be stored; the next batch includes them");
            return;
        }
        let mut readings = self.readings();
        for s in changed {
            if let Some(r) = readings.peers.get_mut(&s.public_key) {
                r.stored = Some((s.rx_bytes, s.tx_bytes, s.last_handshake));
            }
        }
    }

    /// Returns a device with its current speeds, endpoint and handshake.
    pub(crate) fn device_view(&self, d: DeviceRecord) -> DeviceView {
        let r = self
            .readings()
            .peers
            .get(&d.public_key)
            .copied()
            .unwrap_or_default();
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

    /// Returns the speeds of a slot in the last minute.
    pub(crate) fn speeds(&self, slot: Slot) -> Vec<SpeedSample> {
        self.readings()
            .speeds
            .get(&slot)
            .map(|s| s.iter().copied().collect())
            .unwrap_or_default()
    }

    /// Returns AdGuard Home's last known counts. Requests new ones in the
    /// background if they are old.
    pub(crate) fn counts(self: &Arc<Self>, slot: Slot, name: &TenantName) -> Option<QueryCounts> {
        let now = self.clock.now();
        let mut readings = self.readings();
        let known = readings.counts.get(&slot).filter(|(n, ..)| n == name);
        let counts = known.and_then(|(_, _, c)| *c);
        if known.is_none_or(|(_, at, _)| now.millis_since(*at) > COUNTS_INTERVAL_MILLIS) {
            // The time is noted first, so that many viewers cause one request.
            readings.counts.insert(slot, (name.clone(), now, counts));
            let (meter, name) = (self.clone(), name.clone());
            tokio::spawn(async move {
                if let Ok(new) = meter.node.dns_counts(slot, &name).await {
                    meter
                        .readings()
                        .counts
                        .insert(slot, (name, meter.clock.now(), Some(new)));
                }
            });
        }
        counts
    }
}

impl Readings {
    /// Replaces the readings and appends the speeds since the last ones.
    fn apply(&mut self, statistics: &[PeerStatistics], now: Timestamp) {
        let millis = self.at.map_or(0, |at| now.millis_since(at));
        let bps = |new: u64, old: u64| -> u64 {
            // Counters that decreased belong to a new interface.
            let delta = new.checked_sub(old).unwrap_or(new);
            if millis > 0 {
                delta.saturating_mul(8_000) / millis.unsigned_abs()
            } else {
                0
            }
        };
        let mut before = std::mem::take(&mut self.peers);
        let mut sums: HashMap<Slot, SpeedSample> = HashMap::new();
        for s in statistics {
            let old = before.remove(&s.public_key);
            let (rx_bps, tx_bps) =
                old.map_or((0, 0), |o| (bps(s.rx_bytes, o.rx), bps(s.tx_bytes, o.tx)));
            let reading = Reading {
                rx: s.rx_bytes,
                tx: s.tx_bytes,
                rx_bps,
                tx_bps,
                last_handshake: s.last_handshake,
                endpoint: s.endpoint,
                stored: old.and_then(|o| o.stored),
            };
            self.peers.insert(s.public_key, reading);
            let sum = sums.entry(s.slot).or_insert(SpeedSample {
                at: now,
                ..SpeedSample::default()
            });
            sum.down_bps += tx_bps;
            sum.up_bps += rx_bps;
        }
        self.speeds.retain(|slot, _| sums.contains_key(slot));
        for (slot, sum) in sums {
            let speeds = self.speeds.entry(slot).or_default();
            speeds.push_back(sum);
            while speeds.len() > MAX_SPEEDS
                || speeds
                    .front()
                    .is_some_and(|s| now.millis_since(s.at) > 60_000)
            {
                speeds.pop_front();
            }
        }
        self.at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PrivateKey;

    fn reading(rx: u64, tx: u64) -> Vec<PeerStatistics> {
        vec![PeerStatistics {
            slot: Slot::FIRST,
            public_key: PrivateKey::from_random([1; 32]).public(),
            last_handshake: None,
            endpoint: None,
            rx_bytes: rx,
            tx_bytes: tx,
        }]
    }

    #[test]
    fn speed_is_bits_over_time_despite_reset_counters() {
        let mut s = Readings::default();
        s.apply(&reading(1_000, 5_000), Timestamp(0));
        s.apply(&reading(2_000, 25_000), Timestamp(2_000));
        let last = |s: &Readings| *s.speeds[&Slot::FIRST].back().unwrap();
        assert_eq!((last(&s).up_bps, last(&s).down_bps), (4_000, 80_000));
        s.apply(&reading(250, 0), Timestamp(4_000));
        assert_eq!((last(&s).up_bps, last(&s).down_bps), (1_000, 0));
        s.apply(&reading(250, 0), Timestamp(4_000));
        assert_eq!(last(&s).up_bps, 0, "no time has passed");
    }

    #[test]
    fn the_speeds_of_one_minute_are_remembered() {
        let mut s = Readings::default();
        for i in 0..100 {
            s.apply(&reading(i, i), Timestamp(i as i64 * 2_000));
        }
        assert_eq!(s.speeds[&Slot::FIRST].len(), MAX_SPEEDS);
        s.apply(&[], Timestamp(300_000));
        assert!(s.speeds.is_empty() && s.peers.is_empty());
    }
}
