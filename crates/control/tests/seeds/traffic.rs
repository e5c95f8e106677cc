//! The byte counters of the tunnels' peers, which the simulated machine does not have: the
//! WireGuard port over it, with counters that begin at 0 whenever a peer is created, and
//! readings that fail and are late. What has passed is known exactly; what must have been
//! counted of it, between two bounds.

use super::time::pause;
use async_trait::async_trait;
use domain::{ErrorCode, Message, PublicKey, Slot};
use futures_util::stream::BoxStream;
use protocol::PeerStatistics;
use provisioning::{
    observed::ObservedInterface,
    ports::{PeerChange, PortError, PortResult, WireGuard},
    spec::InterfaceSpec,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};
use testkit::sim::{Sim, faults::Fault, rng::SplitMix64};

/// The most bytes that pass a device at a time.
const MAX_BYTES: u64 = 60_000_000;

/// What has passed a device. Bytes of both directions together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    /// The tenant's tunnel.
    pub tenant: Option<PublicKey>,
    /// All that has passed so far.
    pub bytes: u64,
    /// What of it need not be counted: it was not stored yet when its counters were lost.
    pub excused: u64,
    /// What the database had counted when it was last read.
    pub stored: u64,
    /// Of that, what was counted before: new counters that are as high as those of the last
    /// reading, before they are read for the first time, look like its successors.
    hidden: u64,
}

/// The counters of a peer since it was created: bytes received and sent.
#[derive(Clone, Debug, Default)]
struct Counter {
    now: (u64, u64),
    /// What was read of them.
    read: BTreeSet<(u64, u64)>,
    /// What was read before they were lost, until what they have since is counted.
    before: BTreeSet<(u64, u64)>,
}

#[derive(Default)]
struct Counters {
    /// For each peer on the machine.
    peers: BTreeMap<(Slot, PublicKey), Counter>,
    /// What was read of peers that are not there any more.
    gone: BTreeMap<PublicKey, BTreeSet<(u64, u64)>>,
    passed: BTreeMap<PublicKey, Passed>,
}

/// The traffic of a history. It outlives the process; clones share it.
#[derive(Clone)]
pub struct Traffic {
    sim: Sim,
    counters: Arc<Mutex<Counters>>,
}

impl Traffic {
    pub fn new(sim: Sim) -> Self {
        Self {
            sim,
            counters: Arc::default(),
        }
    }

    /// Returns the counters of the peers that are on the machine now.
    fn counters(&self) -> MutexGuard<'_, Counters> {
        let (present, tenants) = {
            let s = self.sim.state();
            let ours = s.machine.interfaces.iter();
            let ours = ours.filter(|(_, i)| i.owner.is_some());
            let peers = ours.flat_map(|(slot, i)| i.peers.keys().map(|key| (*slot, *key)));
            let tenants = s.model.spec.tenants.values().flat_map(|t| {
                let tenant = t.private_key.public();
                t.devices.values().map(move |d| (d.public_key, tenant))
            });
            (peers.collect::<BTreeSet<_>>(), tenants.collect::<Vec<_>>())
        };
        let mut counters = self.counters.lock().unwrap();
        counters.lose(|peer| !present.contains(peer));
        for peer in present {
            if !counters.peers.contains_key(&peer) {
                let before = counters.gone.remove(&peer.1).unwrap_or_default();
                let counter = Counter {
                    before,
                    ..Counter::default()
                };
                counters.peers.insert(peer, counter);
            }
        }
        for (device, tenant) in tenants {
            counters.passed.entry(device).or_default().tenant = Some(tenant);
        }
        counters
    }

    /// Lets some devices send and receive, and sometimes an interface's counters begin at 0
    /// again, as with a new process of the userspace WireGuard.
    pub fn flow(&self, rng: &mut SplitMix64, restarts: bool) {
        let mut counters = self.counters();
        let known: Vec<(Slot, PublicKey)> = counters
            .peers
            .keys()
            .filter(|(_, device)| counters.passed.contains_key(device))
            .copied()
            .collect();
        for peer in known {
            if rng.percent(40) {
                continue;
            }
            let (received, sent) = (rng.below(MAX_BYTES / 4), rng.below(MAX_BYTES));
            let counter = counters.peers.entry(peer).or_default();
            counter.now.0 += received;
            counter.now.1 += sent;
            let hidden = counter.hidden();
            let passed = counters.passed.entry(peer.1).or_default();
            passed.bytes += received + sent;
            passed.hidden = passed.hidden.max(hidden);
        }
        if restarts && rng.percent(10) {
            let slot = Slot::new(1 + rng.below(4) as u16);
            counters.lose(|(of, _)| Some(*of) == slot);
        }
    }

    /// Returns what has passed each device, and notes what the database has counted.
    pub fn passed(&self, stored: &BTreeMap<PublicKey, u64>) -> BTreeMap<PublicKey, Passed> {
        let mut counters = self.counters();
        for (device, bytes) in stored {
            let passed = counters.passed.entry(*device).or_default();
            let is_more = *bytes > passed.stored;
            passed.stored = *bytes;
            let own = counters.peers.iter_mut().filter(|(p, _)| p.1 == *device);
            for (_, counter) in own.filter(|(_, c)| is_more && !c.read.is_empty()) {
                counter.before.clear();
            }
        }
        counters.passed.clone()
    }

    fn statistics(&self) -> Vec<PeerStatistics> {
        let mut counters = self.counters();
        let peers = counters.peers.iter_mut();
        let statistics = peers.map(|((slot, key), counter)| {
            counter.read.insert(counter.now);
            PeerStatistics {
                slot: *slot,
                public_key: *key,
                last_handshake: None,
                endpoint: None,
                rx_bytes: counter.now.0,
                tx_bytes: counter.now.1,
            }
        });
        statistics.collect()
    }
}

impl Counters {
    /// Loses the counters of the peers that match.
    fn lose(&mut self, is_lost: impl Fn(&(Slot, PublicKey)) -> bool) {
        let lost: Vec<_> = self.peers.keys().filter(|p| is_lost(p)).copied().collect();
        for peer in lost {
            let mut counter = self.peers.remove(&peer).unwrap_or_default();
            if let Some(passed) = self.passed.get_mut(&peer.1) {
                passed.excused = passed.bytes.saturating_sub(passed.stored);
                passed.hidden = 0;
            }
            counter.read.append(&mut counter.before);
            self.gone
                .entry(peer.1)
                .or_default()
                .append(&mut counter.read);
        }
    }
}

impl Counter {
    /// Returns the most that may be missing because these look like those before.
    fn hidden(&self) -> u64 {
        let looks = |(rx, tx): &&(u64, u64)| self.now.0 >= *rx && self.now.1 >= *tx;
        let sums = self.before.iter().filter(looks).map(|(rx, tx)| rx + tx);
        sums.max().unwrap_or(0)
    }
}

impl Passed {
    /// Returns the least that must be counted.
    pub fn least(&self) -> u64 {
        self.bytes.saturating_sub(self.excused + self.hidden)
    }
}

#[async_trait]
impl WireGuard for Traffic {
    fn describe(&self) -> String {
        WireGuard::describe(&self.sim)
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        WireGuard::observe(&self.sim).await
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        // What was there before is read first, so that its loss is noticed.
        drop(self.counters());
        self.sim.ensure(spec).await
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        drop(self.counters());
        self.sim.change_peers(slot, change).await
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        drop(self.counters());
        WireGuard::delete(&self.sim, slot).await
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        let (fails, late) = {
            let s = &mut *self.sim.state();
            let fails = s.faults.strikes(Fault::FailsBefore, &mut s.rng);
            let late = s.faults.strikes(Fault::Slow, &mut s.rng);
            (fails, if late { s.rng.below(4_000) } else { 0 })
        };
        if fails {
            let text = "the counters cannot be read (simulated)".to_owned();
            let message = Message::Verbatim { text };
            return Err(PortError::new(ErrorCode::WireguardUnavailable, message));
        }
        let statistics = self.statistics();
        if late > 0 {
            pause(late).await;
        }
        Ok(statistics)
    }

    fn events(&self) -> BoxStream<'static, ()> {
        WireGuard::events(&self.sim)
    }
}
