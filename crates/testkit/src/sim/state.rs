//! The state of a history: the machine, the database with its users, the faults
//! and the time, which the calls of the ports, external changes and processes
//! change.

use super::{
    faults::{Fault, Faults},
    link::Link,
    machine::Machine,
    model::Model,
    rng::SplitMix64,
    trace::Trace,
};
use domain::Slot;
use provisioning::{NodeSettings, observed::ObservedInterface};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc::UnboundedSender},
    time::Instant,
};

/// A history while it is played. Clones share it.
#[derive(Clone)]
pub struct Sim {
    state: Arc<Mutex<SimState>>,
    pub(super) death: Arc<Notify>,
    /// Tells the control planes of a change.
    pub(super) nudges: Arc<Notify>,
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
    /// Calls that end connections so far.
    pub connection_ends: u64,
    /// Reading calls so far.
    pub readings: u64,
    /// The link to the control planes.
    pub(super) link: Link,
    pub(super) delayed: Vec<DelayedEffect>,
    /// Cloned by each changing call that is in flight.
    pub(super) in_flight: Arc<()>,
    pub(super) listeners: Vec<(EventPort, UnboundedSender<()>)>,
    /// The number of calls after which the process dies during one.
    pub(super) calls_until_death: Option<u64>,
    pub(super) clock: MachineClock,
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

/// A change of the state that happens later.
pub(super) type Effect = Box<dyn FnOnce(&mut SimState) + Send>;

/// An effect whose caller gets no answer.
pub(super) struct DelayedEffect {
    /// The machine's time at which it happens.
    pub(super) due: Duration,
    /// The queue in which later calls wait behind it: that of a slot, or of
    /// all (`Some(None)`).
    pub(super) queue: Option<Option<Slot>>,
    pub(super) effect: Effect,
}

/// The machine's time, which continues while no process runs.
pub(super) struct MachineClock {
    /// The machine's time when the process started.
    pub(super) at_start: Duration,
    /// When the process started; `None` while none runs.
    pub(super) started: Option<Instant>,
}

/// In one of this many histories, each incremental plan and each published
/// status is compared with one made from scratch.
const VERIFIED: u64 = 4;

/// The ports with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventPort {
    Wireguard,
    Firewall,
    Shaping,
    Containers,
}

impl Sim {
    /// Creates the history of a seed, at its beginning.
    pub fn new(seed: u64, settings: NodeSettings, verbose: bool) -> Self {
        let mut rng = SplitMix64::new(seed);
        let mut faults = Faults::drawn(&mut rng);
        let link = Link::new(seed, &mut faults);
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
            connection_ends: 0,
            readings: 0,
            link,
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
            nudges: Arc::new(Notify::new()),
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
    pub(super) fn emit(&mut self, port: EventPort) {
        if !self.faults.strikes(Fault::EventLost, &mut self.rng) {
            self.listeners
                .retain(|(of, to)| *of != port || to.send(()).is_ok());
        }
    }

    pub(super) fn subscribe(&mut self, port: EventPort, to: UnboundedSender<()>) {
        self.listeners.push((port, to));
    }

    /// Prints a line without hashing it. For steps whose order tokio itself
    /// draws (which of several waiting tasks wakes first) and on which nothing
    /// else depends.
    pub fn record_unordered(&mut self, text: impl FnOnce() -> String) {
        self.trace.print(self.now(), text);
    }

    /// Adds a line to the trace.
    pub fn record(&mut self, text: impl FnOnce() -> String) {
        self.trace.add(self.now(), text());
    }

    /// Returns the hash of the trace so far.
    pub fn hash(&self) -> u64 {
        self.trace.hash()
    }
}
