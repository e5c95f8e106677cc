//! The last readings of the nodes' peers, and the speeds that they show. Pure.

use domain::{
    NodeId, PublicKey, TenantName, Timestamp,
    view::{QueryCounts, SpeedSample},
};
use protocol::{Location, PeerStatistics};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};
use store::StatSample;

/// Speeds remembered for each tenant: a minute of them.
const MAX_SPEEDS: usize = 30;

/// The last reading of a peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    pub(super) rx: u64,
    pub(super) tx: u64,
    /// The counters that the speed is reckoned from.
    pub(super) base: (u64, u64),
    pub(super) rx_bps: u64,
    pub(super) tx_bps: u64,
    pub(super) last_handshake: Option<Timestamp>,
    pub(super) endpoint: Option<SocketAddr>,
    /// The counters of the last reading that was stored.
    pub(super) stored: Option<(u64, u64, Option<Timestamp>)>,
}

/// The last readings of a node's peers.
#[derive(Debug, Default)]
pub(super) struct NodeReadings {
    /// When the speeds were measured.
    at: Option<Timestamp>,
    pub(super) peers: HashMap<PublicKey, Reading>,
}

#[derive(Debug, Default)]
pub(super) struct Readings {
    pub(super) nodes: HashMap<NodeId, NodeReadings>,
    pub(super) speeds: HashMap<Location, VecDeque<SpeedSample>>,
    pub(super) counts: HashMap<Location, (TenantName, Timestamp, Option<QueryCounts>)>,
}

impl Readings {
    /// Returns what of a node has changed since it was last stored.
    pub(super) fn changed(&self, node: NodeId) -> Vec<StatSample> {
        self.nodes
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
            .collect()
    }

    /// Notes that these were stored.
    pub(super) fn note_stored(&mut self, node: NodeId, stored: Vec<StatSample>) {
        let Some(of_node) = self.nodes.get_mut(&node) else {
            return;
        };
        for s in stored {
            if let Some(r) = of_node.peers.get_mut(&s.public_key) {
                r.stored = Some((s.rx_bytes, s.tx_bytes, s.last_handshake));
            }
        }
    }

    /// Returns the last reading of a peer. Its key is one node's only, and there are
    /// few nodes.
    pub(super) fn peer(&self, key: &PublicKey) -> Option<Reading> {
        self.nodes.values().find_map(|n| n.peers.get(key)).copied()
    }

    /// Updates the counters of peers, and leaves their speeds.
    pub(super) fn update_counters(&mut self, node: NodeId, statistics: &[PeerStatistics]) {
        let of_node = self.nodes.entry(node).or_default();
        for s in statistics {
            let new = Reading {
                base: (s.rx_bytes, s.tx_bytes),
                ..Reading::default()
            };
            let r = of_node.peers.entry(s.public_key).or_insert(new);
            // A counter that restarted counts from zero.
            let base = |base: u64, before: u64, now: u64| match now < before {
                true => 0,
                false => base,
            };
            r.base = (
                base(r.base.0, r.rx, s.rx_bytes),
                base(r.base.1, r.tx, s.tx_bytes),
            );
            (r.rx, r.tx) = (s.rx_bytes, s.tx_bytes);
            r.last_handshake = s.last_handshake;
            r.endpoint = s.endpoint;
        }
    }

    /// Replaces a node's readings and appends the speeds since the last ones.
    pub(super) fn apply(&mut self, node: NodeId, statistics: &[PeerStatistics], now: Timestamp) {
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
            let (rx_bps, tx_bps) = old.map_or((0, 0), |o| {
                (bps(s.rx_bytes, o.base.0), bps(s.tx_bytes, o.base.1))
            });
            let reading = Reading {
                rx: s.rx_bytes,
                tx: s.tx_bytes,
                base: (s.rx_bytes, s.tx_bytes),
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
    fn counters_read_in_between_leave_the_speed() {
        let mut s = Readings::default();
        s.apply(AT.node, &reading(1_000, 0), Timestamp(0));
        s.update_counters(AT.node, &reading(1_500, 0));
        assert_eq!(s.changed(AT.node)[0].rx_bytes, 1_500);
        s.note_stored(AT.node, s.changed(AT.node));
        assert!(s.changed(AT.node).is_empty());
        s.apply(AT.node, &reading(2_000, 0), Timestamp(2_000));
        let last = |s: &Readings| s.speeds[&AT].back().unwrap().up_bps;
        assert_eq!((last(&s), s.speeds[&AT].len()), (4_000, 2));
        // The counter restarts in between.
        s.update_counters(AT.node, &reading(100, 0));
        s.apply(AT.node, &reading(500, 0), Timestamp(4_000));
        assert_eq!(last(&s), 2_000);
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
