//! A seeded simulation of everything around the node: a machine whose calls
//! fail in every possible way, external changes to it, a database that refuses,
//! users who change their minds, and a process that dies. One seed is one
//! history, and replays to the last step.
//!
//! [`process::run`] plays a history. After every change of the machine
//! [`invariants`] are checked; at the end, when the faults have stopped, the
//! machine must become what the [`model`] says.

mod call;
pub mod faults;
mod interference;
mod invariants;
pub mod logs;
pub mod machine;
pub mod model;
mod outcome;
mod ports;
pub mod process;
pub mod rng;
mod trace;

use call::DelayedEffect;
use domain::Slot;
use faults::{Fault, Faults};
use machine::Machine;
use model::Model;
use provisioning::{NodeSettings, observed::ObservedInterface};
use rng::SplitMix64;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc::UnboundedSender},
    time::Instant,
};
use trace::Trace;

/// A history while it is played. Clones share it.
#[derive(Clone)]
pub struct Sim {
    state: Arc<Mutex<SimState>>,
    death: Arc<Notify>,
}

/// The state of a history. It outlives the node's processes, which hold their
/// own state elsewhere.
pub struct SimState {
    /// The source of every random decision about faults.
    pub rng: SplitMix64,
    /// The faults of this history.
    pub faults: Faults,
    /// The machine.
    pub machine: Machine,
    /// The database and its users.
    pub model: Model,
    /// The first violated invariant.
    pub violation: Option<String>,
    /// What others own on the machine, which must stay as it is.
    pub foreign: Foreign,
    /// Changing calls so far.
    pub changes: u64,
    /// Reading calls so far.
    pub readings: u64,
    delayed: Vec<DelayedEffect>,
    /// Cloned by each changing call that is in flight.
    in_flight: Arc<()>,
    listeners: Vec<(EventPort, UnboundedSender<()>)>,
    /// The number of calls after which the process dies during one.
    calls_until_death: Option<u64>,
    clock: MachineClock,
    /// Whether each incremental plan is compared with one made from scratch.
    pub(crate) verify_plans: bool,
    trace: Trace,
}

/// What others own on the machine.
#[derive(Debug, Default)]
pub struct Foreign {
    /// Their interfaces with slots' names.
    pub interfaces: BTreeMap<Slot, ObservedInterface>,
    /// Their containers with tenants' names.
    pub containers: BTreeSet<String>,
}

/// The machine's time, which continues while no process runs.
struct MachineClock {
    /// The machine's time when the process started.
    at_start: Duration,
    /// When the process started; `None` while none runs.
    started: Option<Instant>,
}

/// In one of this many histories, each incremental plan and each published
/// status is compared with one made from scratch.
const VERIFIED: u64 = 4;

/// The ports with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventPort {
    Wireguard,
    Firewall,
    Containers,
}

impl Sim {
    /// Creates the history of a seed, at its beginning.
    pub fn new(seed: u64, settings: NodeSettings, verbose: bool) -> Self {
        let mut rng = SplitMix64::new(seed);
        let faults = Faults::drawn(&mut rng);
        let model = Model::new(SplitMix64::new(rng.draw()), settings);
        let mut state = SimState {
            rng,
            faults,
            machine: Machine {
                image: true,
                ..Machine::default()
            },
            model,
            violation: None,
            foreign: Foreign::default(),
            changes: 0,
            readings: 0,
            delayed: Vec::new(),
            in_flight: Arc::new(()),
            listeners: Vec::new(),
            calls_until_death: None,
            clock: MachineClock {
                at_start: Duration::ZERO,
                started: None,
            },
            verify_plans: verbose || seed.is_multiple_of(VERIFIED),
            trace: Trace::new(seed, verbose),
        };
        let kinds: Vec<_> = state.faults.kinds().collect();
        state.record(|| format!("faults: {kinds:?}"));
        Self {
            state: Arc::new(Mutex::new(state)),
            death: Arc::new(Notify::new()),
        }
    }

    /// Locks the state.
    pub fn state(&self) -> MutexGuard<'_, SimState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimState {
    /// Returns the machine's time, which continues while no process runs.
    pub fn now(&self) -> Duration {
        let running = self.clock.started.map(|started| started.elapsed());
        self.clock.at_start + running.unwrap_or_default()
    }

    /// Returns whether nothing that may change the machine is in flight.
    pub fn is_idle(&self) -> bool {
        self.delayed.is_empty() && Arc::strong_count(&self.in_flight) == 1
    }

    /// Sends an event, unless it is lost.
    fn emit(&mut self, port: EventPort) {
        if !self.faults.strikes(Fault::EventLost, &mut self.rng) {
            self.listeners
                .retain(|(of, to)| *of != port || to.send(()).is_ok());
        }
    }

    fn subscribe(&mut self, port: EventPort, to: UnboundedSender<()>) {
        self.listeners.push((port, to));
    }

    /// Stores the first violated invariant in [`SimState::violation`].
    pub fn check_invariants(&mut self, after: &str) {
        if self.violation.is_some() {
            return;
        }
        if let Some(what) = invariants::violation(self) {
            self.record(|| format!("VIOLATION: {what}"));
            self.violation = Some(format!("after {after}: {what}"));
        }
    }
}
