//! A machine in memory behind every port, with fault switches: each call can
//! be made to fail or hang on demand. It keeps the ports' contracts (calls are
//! idempotent, foreign objects stay untouched) and records the changing calls.
//!
//! It answers at once, for tests that set each fault themselves. The seeded
//! machine of [`sim`](crate::sim) draws faults and delays instead.

mod clock;
mod memory;
mod nodes;
mod ports;
mod spec_source;

pub use clock::FakeClock;
use domain::{ErrorCode, Message, PublicKey, Slot};
use ipnet::Ipv4Net;
pub use memory::{FakeMemory, MemoryState};
pub use nodes::{FakeNodes, NodeAnswers, WrittenFolder};
use provisioning::{
    observed::{
        ObservedContainers, ObservedDns, ObservedFirewall, ObservedFolder, ObservedInterface,
        ObservedSpeed,
    },
    ports::{DnsPart, PortError, PortResult},
};
pub use spec_source::FakeSpecs;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The state of the machine. Tests read it, and change it to simulate external
/// changes.
#[derive(Debug, Default)]
pub struct MachineState {
    /// Interfaces with slots' names.
    pub interfaces: BTreeMap<Slot, ObservedInterface>,
    /// Our table.
    pub firewall: ObservedFirewall,
    /// Speed limits.
    pub speeds: BTreeMap<Slot, ObservedSpeed>,
    /// The image and the containers.
    pub containers: ObservedContainers,
    /// AdGuard Homes, by address.
    pub dns: BTreeMap<IpAddr, ObservedDns>,
    /// Tenants' folders, by name.
    pub folders: BTreeMap<String, ObservedFolder>,
    /// Networks whose connections were ended.
    pub ended: BTreeSet<Ipv4Net>,
    /// AdGuard Homes that end at every start, until this part is set aside.
    pub damaged: BTreeMap<Slot, DnsPart>,
    /// The parts of AdGuard Homes that were set aside, in order.
    pub aside: Vec<(Slot, DnsPart)>,
    /// Bytes by peer: (rx, tx).
    pub counters: BTreeMap<PublicKey, (u64, u64)>,
    /// Names of the calls that fail, e.g. `wireguard.ensure`.
    pub failing: BTreeSet<&'static str>,
    /// Names of the calls that never return.
    pub hanging: BTreeSet<&'static str>,
    /// Every changing call in order, with its slot if it has one.
    pub calls: Vec<(&'static str, Option<Slot>)>,
    next_id: u64,
}

/// The machine. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FakeMachine {
    state: Arc<Mutex<MachineState>>,
}

impl FakeMachine {
    /// Creates an empty machine that has the image.
    pub fn new() -> Self {
        let machine = Self::default();
        machine.state().containers.image = true;
        machine
    }

    /// Locks the state.
    pub fn state(&self) -> MutexGuard<'_, MachineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call fail, or succeed again.
    pub fn fail(&self, call: &'static str, fails: bool) {
        let mut s = self.state();
        if fails {
            s.failing.insert(call)
        } else {
            s.failing.remove(call)
        };
    }

    /// Makes a call hang forever.
    pub fn hang(&self, call: &'static str) {
        self.state().hanging.insert(call);
    }

    /// Waits or fails where a test wants this call to.
    async fn gate(&self, call: &'static str) -> PortResult<()> {
        let (hangs, fails) = {
            let s = self.state();
            (s.hanging.contains(call), s.failing.contains(call))
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        if fails {
            Err(PortError::new(
                ErrorCode::Internal,
                Message::Verbatim {
                    text: format!("{call} fails on demand"),
                },
            ))
        } else {
            Ok(())
        }
    }
}
