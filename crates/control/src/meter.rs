//! Statistics: read from the node every 2 s while somebody watches and every
//! 10 s otherwise, turned into speeds, and stored in batches every 10 s.
//!
//! Storing has a loop of its own, so a slow database keeps nobody from seeing
//! speeds. It holds one batch at a time, and what is due meanwhile is one mark
//! and not a queue: the next batch is made of what counters show by then.

use domain::{
    PublicKey, Slot, TenantName, Timestamp,
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

/// How often the node is read while somebody watches.
const WATCHED: Duration = Duration::from_secs(2);
/// Readings between two that are stored, or that are made at all unwatched.
const STORE_EVERY: u32 = 5;
/// Speeds kept: a minute of them.
const SPEEDS: usize = 30;
/// AdGuard Home is asked for its counts this often at most.
const COUNTS_MILLIS: i64 = 10_000;

/// A peer as it was read last.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    rx: u64,
    tx: u64,
    rx_bps: u64,
    tx_bps: u64,
    last_handshake: Option<Timestamp>,
    endpoint: Option<SocketAddr>,
    /// The counters that were stored last.
    stored: Option<(u64, u64, Option<Timestamp>)>,
}

#[derive(Debug, Default)]
struct State {
    at: Option<Timestamp>,
    peers: HashMap<PublicKey, Reading>,
    speeds: HashMap<Slot, VecDeque<SpeedSample>>,
    counts: HashMap<Slot, (TenantName, Timestamp, Option<QueryCounts>)>,
}

pub(crate) struct Meter {
    store: Store,
    node: NodeHandle,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    ticks: watch::Sender<u64>,
    /// That readings should be stored; marked twice it is marked.
    due: Notify,
}

impl Meter {
    pub(crate) fn new(store: Store, node: NodeHandle, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            node,
            clock,
            state: Mutex::default(),
            ticks: watch::Sender::new(0),
            due: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notices every reading; while one of these lives, somebody watches.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// Reads and stores for ever.
    pub(crate) async fn run(&self) {
        tokio::join!(self.reads(), self.stores());
    }

    async fn reads(&self) {
        let mut ticks = tokio::time::interval(WATCHED);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut count = 0_u32;
        loop {
            ticks.tick().await;
            let stores = count.is_multiple_of(STORE_EVERY);
            count = count.wrapping_add(1);
            if stores || self.ticks.receiver_count() > 0 {
                self.read(stores).await;
                self.ticks.send_modify(|n| *n += 1);
            }
        }
    }

    pub(crate) async fn read(&self, stores: bool) {
        let statistics = match self.node.statistics().await {
            Ok(s) => s,
            Err(e) => {
                tracing::debug!(error = %e, "statistics could not be read");
                return;
            }
        };
        self.state().take(&statistics, self.clock.now());
        if stores {
            self.due.notify_one();
        }
    }

    pub(crate) async fn stores(&self) {
        loop {
            self.due.notified().await;
            let now = self.clock.now();
            self.store_changes(now).await;
            if let Err(e) = self.store.prune_statistics(now).await {
                tracing::warn!(error = ?e, "old statistics could not be removed");
            }
        }
    }

    /// Stores every peer that has changed since it was stored last. What could
    /// not be stored is stored with the next batch: counters lose nothing.
    async fn store_changes(&self, now: Timestamp) {
        let changed: Vec<StatSample> = self
            .state()
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
        if let Err(e) = self.store.record_statistics(&changed, now).await {
            tracing::warn!(error = ?e, "statistics could not be stored; the next batch holds them");
            return;
        }
        let mut state = self.state();
        for s in changed {
            if let Some(r) = state.peers.get_mut(&s.public_key) {
                r.stored = Some((s.rx_bytes, s.tx_bytes, s.last_handshake));
            }
        }
    }

    /// A device with what is known of it right now.
    pub(crate) fn device_view(&self, d: DeviceRecord) -> DeviceView {
        let r = self
            .state()
            .peers
            .get(&d.public_key)
            .copied()
            .unwrap_or_default();
        // What came since the last batch is not in the totals yet.
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

    /// The last minute's speed of a slot.
    pub(crate) fn speeds(&self, slot: Slot) -> Vec<SpeedSample> {
        self.state()
            .speeds
            .get(&slot)
            .map(|s| s.iter().copied().collect())
            .unwrap_or_default()
    }

    /// AdGuard Home's counts as last told; asks again, in the background,
    /// where they are old.
    pub(crate) fn counts(self: &Arc<Self>, slot: Slot, name: &TenantName) -> Option<QueryCounts> {
        let now = self.clock.now();
        let mut state = self.state();
        let known = state.counts.get(&slot).filter(|(n, ..)| n == name);
        let counts = known.and_then(|(_, _, c)| *c);
        if known.is_none_or(|(_, at, _)| now.millis_since(*at) > COUNTS_MILLIS) {
            // Marked as asked first, so that a crowd of viewers asks once.
            state.counts.insert(slot, (name.clone(), now, counts));
            let (meter, name) = (self.clone(), name.clone());
            tokio::spawn(async move {
                if let Ok(new) = meter.node.dns_counts(slot, &name).await {
                    meter
                        .state()
                        .counts
                        .insert(slot, (name, meter.clock.now(), Some(new)));
                }
            });
        }
        counts
    }
}

impl State {
    fn take(&mut self, statistics: &[PeerStatistics], now: Timestamp) {
        let millis = self.at.map_or(0, |at| now.millis_since(at));
        let bps = |new: u64, old: u64| -> u64 {
            // Counters that went back belong to a new interface.
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
            let list = self.speeds.entry(slot).or_default();
            list.push_back(sum);
            while list.len() > SPEEDS
                || list
                    .front()
                    .is_some_and(|s| now.millis_since(s.at) > 60_000)
            {
                list.pop_front();
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
    fn speed_is_bits_over_time_and_a_counter_that_starts_anew_does_no_harm() {
        let mut s = State::default();
        s.take(&reading(1_000, 5_000), Timestamp(0));
        s.take(&reading(2_000, 25_000), Timestamp(2_000));
        let last = |s: &State| *s.speeds[&Slot::FIRST].back().unwrap();
        assert_eq!((last(&s).up_bps, last(&s).down_bps), (4_000, 80_000));
        s.take(&reading(250, 0), Timestamp(4_000));
        assert_eq!((last(&s).up_bps, last(&s).down_bps), (1_000, 0));
        s.take(&reading(250, 0), Timestamp(4_000));
        assert_eq!(last(&s).up_bps, 0, "no time has passed");
    }

    #[test]
    fn a_minute_of_speeds_is_kept() {
        let mut s = State::default();
        for i in 0..100 {
            s.take(&reading(i, i), Timestamp(i as i64 * 2_000));
        }
        assert_eq!(s.speeds[&Slot::FIRST].len(), SPEEDS);
        s.take(&[], Timestamp(300_000));
        assert!(s.speeds.is_empty() && s.peers.is_empty());
    }
}
