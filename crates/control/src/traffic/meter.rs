//! Statistics: read from the nodes every 2 s while a page shows them and every
//! 10 s otherwise, turned into speeds, and stored in batches every 10 s.
//!
//! Storing has a loop of its own, so a slow database does not delay the speeds
//! on the pages. There is one batch at a time, and what becomes due meanwhile is
//! a single flag and not a queue: the next batch is made of the counters as they
//! are by then.

use domain::{
    Clock, NodeId, PublicKey, TenantName, Timestamp,
    view::{DeviceView, QueryCounts, SpeedSample},
};
use futures_util::future::join_all;
use protocol::{Location, Nodes, PeerStatistics};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{DeviceRecord, StatSample, Store};
use tokio::sync::{Notify, watch};

/// How often the nodes are read while a page shows statistics.
const WATCHED_INTERVAL: Duration = Duration::from_secs(2);
/// Every fifth reading is stored. It is the only one made while no page shows
/// statistics.
const STORE_EVERY: u32 = 5;
/// Speeds remembered for each tenant: a minute of them.
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

/// The last readings of a node's peers.
#[derive(Debug, Default)]
struct NodeReadings {
    at: Option<Timestamp>,
    peers: HashMap<PublicKey, Reading>,
}

#[derive(Debug, Default)]
struct Readings {
    nodes: HashMap<NodeId, NodeReadings>,
    speeds: HashMap<Location, VecDeque<SpeedSample>>,
    counts: HashMap<Location, (TenantName, Timestamp, Option<QueryCounts>)>,
}

pub(crate) struct Meter {
    store: Store,
    nodes: Arc<dyn Nodes>,
    clock: Arc<dyn Clock>,
    readings: Mutex<Readings>,
    ticks: watch::Sender<u64>,
    /// Notified when readings should be stored. Two notifications are one.
    due: Notify,
}

impl Meter {
    pub(crate) fn new(store: Store, nodes: Arc<dyn Nodes>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            nodes,
            clock,
            readings: Mutex::default(),
            ticks: watch::Sender::new(0),
            due: Notify::new(),
        }
    }

    fn readings(&self) -> MutexGuard<'_, Readings> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
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
            ticks.tick().await;
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
        let read = async |node| match self.nodes.statistics(node).await {
            Ok(s) => {
                self.readings().apply(node, &s, self.clock.now());
                true
            }
            Err(problem) => {
                tracing::debug!(%node, ?problem, "statistics could not be read");
                false
            }
        };
        let read = join_all(self.nodes.ids().into_iter().map(read)).await;
        if is_stored && read.contains(&true) {
            self.due.notify_one();
        }
    }

    pub(crate) async fn store_when_due(&self) {
        loop {
            self.due.notified().await;
            let now = self.clock.now();
            let nodes: Vec<_> = self.readings().nodes.keys().copied().collect();
            for node in nodes {
                self.store_changes(node, now).await;
            }
            if let Err(e) = self.store.prune_statistics(now).await {
                tracing::warn!(error = ?e, "old statistics could not be removed");
            }
        }
    }

    /// Stores every peer of a node that has changed since it was last stored. If
    /// that fails, the next batch includes it: counters lose nothing.
    async fn store_changes(&self, node: NodeId, now: Timestamp) {
        let changed: Vec<StatSample> = self
            .readings()
            .nodes
            .get(&node)
            .into_iter()
            .flat_map(|n| &n.peers)
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
        let stored = self.store.record_statistics(node, &changed, now);
        if let Err(e) = stored.await {
            tracing::warn!(error = ?e, "statistics could not be stored; the next batch includes them");
            return;
        }
        let mut readings = self.readings();
        let Some(of_node) = readings.nodes.get_mut(&node) else {
            return;
        };
        for s in changed {
            if let Some(r) = of_node.peers.get_mut(&s.public_key) {
                r.stored = Some((s.rx_bytes, s.tx_bytes, s.last_handshake));
            }
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

impl Readings {
    /// Returns the last reading of a peer. Its key is one node's only, and there are
    /// few nodes.
    fn peer(&self, key: &PublicKey) -> Option<Reading> {
        self.nodes.values().find_map(|n| n.peers.get(key)).copied()
    }

    /// Replaces a node's readings and appends the speeds since the last ones.
    fn apply(&mut self, node: NodeId, statistics: &[PeerStatistics], now: Timestamp) {
        let of_node = self.nodes.entry(node).or_default();
        let millis = of_node.at.map_or(0, |at| now.millis_since(at));
        let bps = |new: u64, old: u64| -> u64 {
            // Counters that decreased belong to a new interface.
            let delta = new.checked_sub(old).unwrap_or(new);
            if millis > 0 {
                delta.saturating_mul(8_000) / millis.unsigned_abs()
            } else {
                0
            }
        };
        let mut before = std::mem::take(&mut of_node.peers);
        let mut sums: HashMap<Location, SpeedSample> = HashMap::new();
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
            of_node.peers.insert(s.public_key, reading);
            let at = Location { node, slot: s.slot };
            let sum = sums.entry(at).or_insert(SpeedSample {
                at: now,
                ..SpeedSample::default()
            });
            sum.down_bps += tx_bps;
            sum.up_bps += rx_bps;
        }
        of_node.at = Some(now);
        self.speeds
            .retain(|at, _| at.node != node || sums.contains_key(at));
        for (at, sum) in sums {
            let speeds = self.speeds.entry(at).or_default();
            speeds.push_back(sum);
            while speeds.len() > MAX_SPEEDS
                || speeds
                    .front()
                    .is_some_and(|s| now.millis_since(s.at) > 60_000)
            {
                speeds.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{PrivateKey, Slot};

    const AT: Location = Location {
        node: NodeId(1),
        slot: Slot::FIRST,
    };

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
        s.apply(AT.node, &reading(1_000, 5_000), Timestamp(0));
        s.apply(AT.node, &reading(2_000, 25_000), Timestamp(2_000));
        let last = |s: &Readings| *s.speeds[&AT].back().unwrap();
        assert_eq!((last(&s).up_bps, last(&s).down_bps), (4_000, 80_000));
        s.apply(AT.node, &reading(250, 0), Timestamp(4_000));
        assert_eq!((last(&s).up_bps, last(&s).down_bps), (1_000, 0));
        s.apply(AT.node, &reading(250, 0), Timestamp(4_000));
        assert_eq!(last(&s).up_bps, 0, "no time has passed");
    }

    #[test]
    fn the_speeds_of_one_minute_are_remembered() {
        let mut s = Readings::default();
        for i in 0..100 {
            s.apply(AT.node, &reading(i, i), Timestamp(i as i64 * 2_000));
        }
        assert_eq!(s.speeds[&AT].len(), MAX_SPEEDS);
        s.apply(AT.node, &[], Timestamp(300_000));
        assert!(s.speeds.is_empty() && s.nodes[&AT.node].peers.is_empty());
    }

    #[test]
    fn a_reading_of_one_node_leaves_the_others() {
        let mut s = Readings::default();
        let (here, there) = (AT.node, NodeId(2));
        let key = PrivateKey::from_random([2; 32]).public();
        let peer = |rx| PeerStatistics {
            public_key: key,
            ..reading(rx, 0).remove(0)
        };
        s.apply(here, &reading(1_000, 0), Timestamp(0));
        s.apply(there, &[peer(0)], Timestamp(1_000));
        s.apply(there, &[peer(500)], Timestamp(2_000));
        s.apply(here, &reading(2_000, 0), Timestamp(2_000));
        let up = |node| s.speeds[&Location { node, ..AT }].back().unwrap().up_bps;
        assert_eq!((up(here), up(there)), (4_000, 4_000));
        s.apply(here, &[], Timestamp(3_000));
        assert_eq!((s.peer(&key).unwrap().rx, s.speeds.len()), (500, 1));
    }
}
