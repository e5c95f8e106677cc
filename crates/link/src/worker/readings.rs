//! Since which reading the counters of each peer have not changed: most peers of a node are
//! idle, and a control plane that has read their counters need not be sent them again.

use domain::{PublicKey, Timestamp};
use protocol::{NodeStatistics, PeerStatistics, ReadingOrder};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

/// What the last reading showed of a peer.
#[derive(PartialEq, Eq)]
struct Counters {
    bytes: (u64, u64),
    handshake: Option<Timestamp>,
    endpoint: Option<SocketAddr>,
}

impl From<&PeerStatistics> for Counters {
    fn from(peer: &PeerStatistics) -> Self {
        Self {
            bytes: (peer.rx_bytes, peer.tx_bytes),
            handshake: peer.last_handshake,
            endpoint: peer.endpoint,
        }
    }
}

/// The readings of one boot of the machine.
struct Noted {
    boot: String,
    /// When the first one was made, and the last one.
    first: u64,
    last: u64,
    /// The peers, and when the reading was made that showed them so first.
    peers: HashMap<PublicKey, (Counters, u64)>,
}

/// What is remembered of this node's readings.
#[derive(Default)]
pub(super) struct Readings(Mutex<Option<Noted>>);

impl Readings {
    /// Notes a reading. Leaves the peers out that have not changed since an earlier one, if
    /// that one is known.
    pub fn changed(
        &self,
        mut read: NodeStatistics,
        earlier: Option<&ReadingOrder>,
    ) -> NodeStatistics {
        let Some(taken) = &read.taken else {
            return read;
        };
        // Replaced as a whole.
        let mut locked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same_boot = |noted: &Noted| noted.boot == taken.boot;
        let noted = match locked.take().filter(same_boot) {
            // It was overtaken by another one, and what it shows may be older.
            Some(noted) if noted.last >= taken.nanos => {
                *locked = Some(noted);
                return read;
            }
            Some(noted) => noted.followed_by(&read.peers, taken.nanos),
            None => Noted::begin(taken).followed_by(&read.peers, taken.nanos),
        };
        let noted = locked.insert(noted);
        let is_known = |e: &&ReadingOrder| {
            e.boot == noted.boot && (noted.first..taken.nanos).contains(&e.nanos)
        };
        if let Some(earlier) = earlier.filter(is_known) {
            read.peers.retain(|peer| {
                let noted = noted.peers.get(&peer.public_key);
                noted.is_none_or(|(_, at)| *at > earlier.nanos)
            });
            read.since = Some(earlier.clone());
        }
        read
    }
}

impl Noted {
    fn begin(taken: &ReadingOrder) -> Self {
        Self {
            boot: taken.boot.clone(),
            first: taken.nanos,
            last: 0,
            peers: HashMap::new(),
        }
    }

    fn followed_by(mut self, peers: &[PeerStatistics], nanos: u64) -> Self {
        let mut now = HashMap::with_capacity(peers.len());
        for peer in peers {
            let counters = Counters::from(peer);
            let before = self.peers.remove(&peer.public_key);
            let since = before.filter(|(before, _)| *before == counters);
            let since = since.map_or(nanos, |(_, at)| at);
            now.insert(peer.public_key, (counters, since));
        }
        Self {
            last: nanos,
            peers: now,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
