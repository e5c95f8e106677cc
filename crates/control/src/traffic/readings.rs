//! The last readings of the nodes' peers, and the speeds that they show. Pure.

use domain::{
    NodeId, PublicKey, TenantName, Timestamp,
    view::{QueryCounts, SpeedSample},
};
use protocol::{Location, NodeStatistics, PeerStatistics, ReadingOrder};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};
use store::StatSample;
use tokio::time::Instant;

/// Speeds remembered for each tenant: a minute of them.
const MAX_SPEEDS: usize = 30;

/// How long a speed is shown: regular readings are 10 s apart.
const SPEED_MILLIS: i64 = 12_000;

/// For how long the counters of an idle peer are remembered that are stored: so long its
/// speed is known when it sends again.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// How old a reading may be that is stored; a later one counts the same.
const MAX_AGE: Duration = Duration::from_secs(60);

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
    /// When they had changed.
    changed_at: Option<Instant>,
}

impl Reading {
    fn is_stored(&self) -> bool {
        self.stored == Some((self.rx, self.tx, self.last_handshake))
    }

    fn is_idle(&self) -> bool {
        self.changed_at.is_none_or(|at| at.elapsed() >= MAX_IDLE)
    }
}

/// The last readings of a node's peers.
#[derive(Debug, Default)]
pub(super) struct NodeReadings {
    /// When the speeds were measured.
    at: Option<Timestamp>,
    /// When the counters were read, by the node and here.
    taken: Option<ReadingOrder>,
    read_at: Option<Instant>,
    /// When the last speeds were measured, as far as they are remembered.
    times: VecDeque<Timestamp>,
    /// Of a node that leaves idle peers out, those that have changed lately or are not
    /// stored yet. Of the others the database has what there is.
    pub(super) peers: HashMap<PublicKey, Reading>,
    /// Whether peers were forgotten that this control plane had not stored: another one
    /// counts the node.
    has_gaps: bool,
}

/// What of a node has changed since it was last stored.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) samples: Vec<StatSample>,
    pub(super) taken: Option<ReadingOrder>,
}

#[derive(Debug, Default)]
pub(super) struct Readings {
    pub(super) nodes: HashMap<NodeId, NodeReadings>,
    /// The speeds at the last of the node's `times`, of tenants with traffic in them.
    pub(super) speeds: HashMap<Location, VecDeque<SpeedSample>>,
    pub(super) counts: HashMap<Location, (TenantName, Timestamp, Option<QueryCounts>)>,
    /// Rises with each change of what is known of peers.
    changes: u64,
}

impl Readings {
    /// Returns a number that is another one after each change of what is known of peers.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Returns how many peers had a handshake after that.
    pub(super) fn online(&self, since: Timestamp) -> u64 {
        let peers = self.nodes.values().flat_map(|node| node.peers.values());
        let is_online = |r: &&Reading| r.last_handshake.is_some_and(|at| at > since);
        peers.filter(is_online).count() as u64
    }

    /// Returns what of a node has changed since it was last stored.
    pub(super) fn changed(&self, node: NodeId) -> Option<Changed> {
        let of_node = self.nodes.get(&node)?;
        of_node.read_at.filter(|at| at.elapsed() < MAX_AGE)?;
        let samples: Vec<_> = of_node
            .peers
            .iter()
            .filter(|(_, r)| !r.is_stored())
            .map(|(key, r)| StatSample {
                public_key: *key,
                rx_bytes: r.rx,
                tx_bytes: r.tx,
                last_handshake: r.last_handshake,
                endpoint: r.endpoint,
            })
            .collect();
        (!samples.is_empty()).then(|| Changed {
            samples,
            taken: of_node.taken.clone(),
        })
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

    /// Returns when the last reading of a node was made, if it and what is stored cover
    /// everything: a reading of what has changed since then may follow.
    pub(super) fn taken(&self, node: NodeId, is_own: bool) -> Option<ReadingOrder> {
        let of_node = self.nodes.get(&node)?;
        of_node
            .taken
            .clone()
            .filter(|_| !(is_own && of_node.has_gaps))
    }

    /// Forgets the peers of a node: what follows is what has changed since the last reading
    /// that is stored, or all.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.changes += 1;
        if let Some(of_node) = self.nodes.get_mut(&node) {
            of_node.peers.clear();
            of_node.has_gaps = false;
        }
    }

    /// Forgets idle peers of a node that another control plane counts.
    pub(super) fn forget_idle(&mut self, node: NodeId) {
        self.changes += 1;
        if let Some(of_node) = self.nodes.get_mut(&node) {
            let before = of_node.peers.len();
            of_node.peers.retain(|_, r| !r.is_idle());
            of_node.has_gaps |= of_node.peers.len() < before;
        }
    }

    /// Returns the speeds of a tenant in the last minute.
    pub(super) fn speeds(&self, at: Location) -> Vec<SpeedSample> {
        let Some(of_node) = self.nodes.get(&at.node) else {
            return Vec::new();
        };
        let known = self.speeds.get(&at);
        let idle = of_node.times.len() - known.map_or(0, VecDeque::len).min(of_node.times.len());
        let zeros = of_node.times.iter().take(idle).map(|at| SpeedSample {
            at: *at,
            ..SpeedSample::default()
        });
        zeros.chain(known.into_iter().flatten().copied()).collect()
    }

    /// Returns the last reading of a peer. Its key is one node's only, except after a
    /// move, and there are few nodes.
    pub(super) fn peer(&self, key: &PublicKey) -> Option<Reading> {
        let nodes = self.nodes.values();
        let readings = nodes.filter_map(|n| Some((n.read_at, n.peers.get(key)?)));
        let newest = readings.max_by_key(|(at, _)| *at);
        newest.map(|(_, reading)| *reading)
    }

    /// Forgets the speeds of nodes that were not read for a while: what passes through a
    /// silent worker is not known, and what passed before is not what passes now. The
    /// counters stay.
    pub(super) fn forget_old_speeds(&mut self, now: Timestamp) {
        self.changes += 1;
        let is_old = |n: &&mut NodeReadings| {
            let at = n.at;
            at.is_some_and(|at| now.millis_since(at) > SPEED_MILLIS)
        };
        for of_node in self.nodes.values_mut().filter(is_old) {
            for r in of_node.peers.values_mut() {
                (r.rx_bps, r.tx_bps) = (0, 0);
            }
        }
    }

    /// Updates the counters of peers, and leaves their speeds.
    pub(super) fn update_counters(&mut self, node: NodeId, statistics: NodeStatistics) {
        self.changes += 1;
        let of_node = self.nodes.entry(node).or_default();
        of_node.taken = statistics.taken;
        of_node.read_at = Some(Instant::now());
        let statistics: &[PeerStatistics] = &statistics.peers;
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
            if (r.rx, r.tx) != (s.rx_bytes, s.tx_bytes) || r.changed_at.is_none() {
                r.changed_at = of_node.read_at;
            }
            (r.rx, r.tx) = (s.rx_bytes, s.tx_bytes);
            r.last_handshake = s.last_handshake;
            r.endpoint = s.endpoint;
        }
    }

    /// Replaces a node's readings, or those of the peers that have changed, and appends the
    /// speeds since the last ones.
    pub(super) fn apply(&mut self, node: NodeId, statistics: NodeStatistics, now: Timestamp) {
        self.changes += 1;
        let of_node = self.nodes.entry(node).or_default();
        of_node.taken = statistics.taken;
        let read_at = Instant::now();
        of_node.read_at = Some(read_at);
        let is_whole = statistics.since.is_none();
        of_node.has_gaps &= !is_whole;
        let statistics = &statistics.peers;
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
                changed_at: match old {
                    Some(o) if (o.rx, o.tx) == (s.rx_bytes, s.tx_bytes) => o.changed_at,
                    _ => Some(read_at),
                },
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
        if !is_whole {
            // The rest has not changed.
            let kept = before
                .into_iter()
                .filter(|(_, r)| !(r.is_stored() && r.is_idle()));
            of_node.peers.extend(kept.map(|(key, r)| {
                let idle = Reading {
                    base: (r.rx, r.tx),
                    rx_bps: 0,
                    tx_bps: 0,
                    ..r
                };
                (key, idle)
            }));
        }
        of_node.at = Some(now);
        of_node.times.push_back(now);
        let is_old = |at: Timestamp| now.millis_since(at) > 60_000;
        while of_node.times.len() > MAX_SPEEDS
            || of_node.times.front().is_some_and(|at| is_old(*at))
        {
            of_node.times.pop_front();
        }
        let remembered = of_node.times.len();
        let zero = SpeedSample {
            at: now,
            ..SpeedSample::default()
        };
        let has_traffic = |s: &SpeedSample| s.down_bps > 0 || s.up_bps > 0;
        self.speeds.retain(|at, speeds| {
            if at.node != node {
                return true;
            }
            let sum = match sums.remove(at) {
                Some(sum) => sum,
                None if is_whole => return false,
                None => zero,
            };
            speeds.push_back(sum);
            speeds.drain(..speeds.len().saturating_sub(remembered));
            speeds.iter().any(has_traffic)
        });
        let new = sums.into_iter().filter(|(_, sum)| has_traffic(sum));
        self.speeds
            .extend(new.map(|(at, sum)| (at, VecDeque::from([sum]))));
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

    fn reading(rx: u64, tx: u64) -> NodeStatistics {
        let peer = PeerStatistics {
            slot: Slot::FIRST,
            public_key: PrivateKey::from_random([1; 32]).public(),
            last_handshake: None,
            endpoint: None,
            rx_bytes: rx,
            tx_bytes: tx,
        };
        of(vec![peer])
    }

    fn of(peers: Vec<PeerStatistics>) -> NodeStatistics {
        NodeStatistics {
            taken: None,
            since: None,
            peers,
        }
    }

    #[test]
    fn speed_is_bits_over_time_despite_reset_counters() {
        let mut s = Readings::default();
        s.apply(AT.node, reading(1_000, 5_000), Timestamp(0));
        s.apply(AT.node, reading(2_000, 25_000), Timestamp(2_000));
        let last = |s: &Readings| *s.speeds(AT).last().unwrap();
        assert_eq!((last(&s).up_bps, last(&s).down_bps), (4_000, 80_000));
        s.apply(AT.node, reading(250, 0), Timestamp(4_000));
        assert_eq!((last(&s).up_bps, last(&s).down_bps), (1_000, 0));
        s.apply(AT.node, reading(250, 0), Timestamp(4_000));
        assert_eq!(last(&s).up_bps, 0, "no time has passed");
    }

    #[test]
    fn the_speeds_of_one_minute_are_remembered() {
        let mut s = Readings::default();
        for i in 0..100 {
            s.apply(AT.node, reading(i, i), Timestamp(i as i64 * 2_000));
        }
        assert_eq!(s.speeds(AT).len(), MAX_SPEEDS);
        s.apply(AT.node, of(Vec::new()), Timestamp(300_000));
        assert!(s.speeds.is_empty() && s.nodes[&AT.node].peers.is_empty());
    }

    #[test]
    fn counters_read_in_between_leave_the_speed() {
        let mut s = Readings::default();
        s.apply(AT.node, reading(1_000, 0), Timestamp(0));
        s.update_counters(AT.node, reading(1_500, 0));
        assert_eq!(s.changed(AT.node).unwrap().samples[0].rx_bytes, 1_500);
        s.note_stored(AT.node, s.changed(AT.node).unwrap().samples);
        assert!(s.changed(AT.node).is_none());
        s.apply(AT.node, reading(2_000, 0), Timestamp(2_000));
        let last = |s: &Readings| s.speeds(AT).last().unwrap().up_bps;
        assert_eq!((last(&s), s.speeds(AT).len()), (4_000, 2));
        // The counter restarts in between.
        s.update_counters(AT.node, reading(100, 0));
        s.apply(AT.node, reading(500, 0), Timestamp(4_000));
        assert_eq!(last(&s), 2_000);
    }

    #[test]
    fn a_speed_is_not_shown_for_long_without_a_reading() {
        let mut s = Readings::default();
        s.apply(AT.node, reading(1_000, 0), Timestamp(0));
        s.apply(AT.node, reading(2_000, 0), Timestamp(2_000));
        let key = PrivateKey::from_random([1; 32]).public();
        let up = |s: &Readings| s.peer(&key).unwrap().rx_bps;
        s.forget_old_speeds(Timestamp(14_000));
        assert_eq!(up(&s), 4_000);
        s.forget_old_speeds(Timestamp(14_001));
        assert_eq!(up(&s), 0);
        // What passed meanwhile is counted, and its speed is that of all the time.
        s.apply(AT.node, reading(3_000, 0), Timestamp(18_000));
        assert_eq!(up(&s), 500);
    }

    #[test]
    fn a_reading_of_one_node_leaves_the_others() {
        let mut s = Readings::default();
        let (here, there) = (AT.node, NodeId(2));
        let key = PrivateKey::from_random([2; 32]).public();
        let peer = |rx| PeerStatistics {
            public_key: key,
            ..reading(rx, 0).peers.remove(0)
        };
        s.apply(here, reading(1_000, 0), Timestamp(0));
        s.apply(there, of(vec![peer(0)]), Timestamp(1_000));
        s.apply(there, of(vec![peer(500)]), Timestamp(2_000));
        s.apply(here, reading(2_000, 0), Timestamp(2_000));
        let up = |node| s.speeds(Location { node, ..AT }).last().unwrap().up_bps;
        assert_eq!((up(here), up(there)), (4_000, 4_000));
        s.apply(here, of(Vec::new()), Timestamp(3_000));
        assert_eq!((s.peer(&key).unwrap().rx, s.speeds.len()), (500, 1));
    }

    fn since(nanos: u64) -> Option<ReadingOrder> {
        Some(ReadingOrder {
            boot: "one".to_owned(),
            nanos,
        })
    }

    /// Returns a reading that leaves out what has not changed since the one before.
    fn changes(peers: Vec<PeerStatistics>) -> NodeStatistics {
        NodeStatistics {
            taken: since(2),
            since: since(1),
            peers,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn peers_that_are_left_out_have_not_changed_and_are_forgotten_once_stored() {
        let mut s = Readings::default();
        s.apply(AT.node, reading(1_000, 0), Timestamp(0));
        s.apply(AT.node, changes(reading(2_000, 0).peers), Timestamp(2_000));
        s.apply(AT.node, changes(vec![]), Timestamp(4_000));
        let ups: Vec<_> = s.speeds(AT).iter().map(|s| s.up_bps).collect();
        assert_eq!(ups, [0, 4_000, 0]);
        tokio::time::advance(MAX_IDLE).await;
        s.apply(AT.node, changes(vec![]), Timestamp(64_000));
        assert!(s.speeds.is_empty(), "no traffic for a minute");
        assert_eq!(s.speeds(AT).len(), 2, "at 4 s and at 64 s");
        let changed = s.changed(AT.node).unwrap();
        assert_eq!(changed.samples[0].rx_bytes, 2_000, "not stored yet");
        s.note_stored(AT.node, changed.samples);
        s.apply(AT.node, changes(vec![]), Timestamp(66_000));
        assert!(s.nodes[&AT.node].peers.is_empty());
        assert_eq!(s.taken(AT.node, true), since(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_control_plane_counts_is_read_again_before_it_is_counted_here() {
        let mut s = Readings::default();
        s.apply(AT.node, changes(reading(1_000, 0).peers), Timestamp(0));
        s.forget_idle(AT.node);
        assert_eq!(s.taken(AT.node, true), since(2), "nothing was forgotten");
        tokio::time::advance(MAX_IDLE).await;
        s.forget_idle(AT.node);
        assert_eq!(s.taken(AT.node, false), since(2));
        assert_eq!(s.taken(AT.node, true), None);
        s.forget(AT.node);
        s.apply(AT.node, reading(1_000, 0), Timestamp(70_000));
        assert_eq!(s.changed(AT.node).unwrap().samples.len(), 1);
    }
}
