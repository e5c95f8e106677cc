//! A seeded simulation of everything around the node: a machine whose calls
//! fail in every way there is, other hands that meddle with it, a database
//! that refuses, users who change their minds, a process that dies. One seed
//! is one history; it replays to the last step.
//!
//! [`life::run`] plays a history. After every change of the machine [`watch`]
//! looks whether what must never be is; in the end, when nothing goes wrong any
//! more, everything must become what the [`model`] says.

pub mod faults;
mod hands;
pub mod life;
pub mod logs;
pub mod machine;
pub mod model;
mod ports;
pub mod rng;
mod watch;

use domain::{ErrorCode, Slot};
use faults::{Fault, Faults};
use machine::{Extent, Machine};
use model::World;
use provisioning::{
    NodeSettings,
    observed::ObservedInterface,
    ports::{PortError, PortResult},
};
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

/// A history while it is played. Clones are the same one.
#[derive(Clone)]
pub struct Sim {
    state: Arc<Mutex<State>>,
    death: Arc<Notify>,
}

/// All there is. What the node's process holds is elsewhere: this outlives it.
pub struct State {
    /// What goes wrong is drawn here.
    pub rng: SplitMix64,
    /// What can go wrong.
    pub faults: Faults,
    /// The machine.
    pub machine: Machine,
    /// The database and its users.
    pub world: World,
    /// What was seen that must never be.
    pub violation: Option<String>,
    /// What others have on the machine, and what must stay: interfaces, and
    /// containers' names.
    pub foreign: (BTreeMap<Slot, ObservedInterface>, BTreeSet<String>),
    /// Changing calls so far.
    pub changes: u64,
    /// Reading calls so far.
    pub readings: u64,
    late: Vec<Late>,
    /// Changing calls that are under way.
    under_way: Arc<()>,
    listeners: Vec<(EventOf, UnboundedSender<()>)>,
    /// Calls until the process dies in one, if it does.
    calls_to_live: Option<u64>,
    /// The machine's time at the beginning of this life, and that moment.
    life: (Duration, Option<Instant>),
    /// Whether each plan is compared with a whole one.
    pub(crate) checked: bool,
    trace: Trace,
}

/// In every so many histories each plan, and what is told of everybody, is
/// compared with what is made from nothing.
const CHECKED: u64 = 4;

type Effect = Box<dyn FnOnce(&mut State) + Send>;

/// An effect whose caller gets no answer.
struct Late {
    due: Duration,
    /// Whom later calls wait behind.
    queue: Option<Option<Slot>>,
    effect: Effect,
}

/// The ports with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventOf {
    Wireguard,
    Firewall,
    Containers,
}

/// What was done, for a person and for comparing two plays of one seed.
struct Trace {
    loud: bool,
    hash: u64,
}

/// What a call can do.
pub(crate) struct Call {
    name: &'static str,
    /// How long the real side waits at most.
    bound: Duration,
    reads: bool,
    /// Whether there is a half of it.
    halves: bool,
    late: Lateness,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lateness {
    Never,
    /// Later calls for the same slot, and readings, wait behind it.
    InOrder,
    Anyhow,
}

enum Fate {
    Done,
    FailsBefore,
    AnswerLost,
    Half(SplitMix64),
    Hangs,
    Late(Duration),
    Dies { after: bool },
}

impl Sim {
    /// The history of a seed, at its beginning.
    pub fn new(seed: u64, settings: NodeSettings, loud: bool) -> Self {
        let mut rng = SplitMix64::new(seed);
        let faults = Faults::drawn(&mut rng);
        let world = World::new(SplitMix64::new(rng.draw()), settings);
        let mut state = State {
            rng,
            faults,
            machine: Machine {
                image: true,
                ..Machine::default()
            },
            world,
            violation: None,
            foreign: Default::default(),
            changes: 0,
            readings: 0,
            late: Vec::new(),
            under_way: Arc::new(()),
            listeners: Vec::new(),
            calls_to_live: None,
            life: (Duration::ZERO, None),
            checked: loud || seed.is_multiple_of(CHECKED),
            trace: Trace { loud, hash: seed },
        };
        let kinds: Vec<_> = state.faults.kinds().collect();
        state.note(|| format!("what goes wrong: {kinds:?}"));
        Self {
            state: Arc::new(Mutex::new(state)),
            death: Arc::new(Notify::new()),
        }
    }

    /// All there is.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out one call by its fate.
    async fn call<T: Send + 'static>(
        &self,
        call: &'static Call,
        slot: Option<Slot>,
        effect: impl FnOnce(&mut State, Extent) -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let deadline = Instant::now() + call.bound;
        let (fate, takes, _under_way) = {
            let mut s = self.state();
            let (fate, takes) = s.fate(call, slot);
            (fate, takes, (!call.reads).then(|| s.under_way.clone()))
        };
        tokio::time::sleep(takes).await;
        if let Fate::Dies { after: false } = fate {
            return self.die().await;
        }
        // A late call has its effect by its own time, whatever becomes of us.
        if let Fate::Late(after) = fate {
            if call.late == Lateness::InOrder && self.wait_turn(slot, deadline).await.is_err() {
                return late(call);
            }
            let effect: Effect = Box::new(move |s| {
                let done = effect(s, Extent::Whole).is_ok();
                s.note(|| format!("late {} {slot:?}: {done}", call.name));
            });
            self.put_off(call, slot, after, effect);
            tokio::time::sleep_until(deadline).await;
            return late(call);
        }
        if call.late == Lateness::InOrder {
            self.wait_turn(slot, deadline).await?;
        }
        let result = match fate {
            Fate::FailsBefore => broken(call),
            Fate::Hangs => {
                tokio::time::sleep_until(deadline).await;
                late(call)
            }
            Fate::Half(ref rng) => {
                let part = Extent::Part(rng.clone());
                self.state().happens(call, slot, effect, part)
            }
            _ => self.state().happens(call, slot, effect, Extent::Whole),
        };
        match fate {
            Fate::AnswerLost => broken(call),
            Fate::Dies { .. } => self.die().await,
            _ => result,
        }
    }

    fn put_off(&self, call: &Call, slot: Option<Slot>, after: Duration, effect: Effect) {
        let mut s = self.state();
        let due = s.now() + after;
        let queue = (call.late == Lateness::InOrder).then_some(slot);
        s.late.push(Late { due, queue, effect });
        drop(s);
        self.settle_at(after);
    }

    /// Has what is late happen at its time.
    fn settle_at(&self, after: Duration) {
        let sim = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            sim.state().settle();
        });
    }

    /// Waits behind what is late, up to a moment.
    async fn wait_turn(&self, slot: Option<Slot>, deadline: Instant) -> PortResult<()> {
        loop {
            let wait = {
                let mut s = self.state();
                s.settle();
                let now = s.now();
                s.turn(slot).map(|due| due.saturating_sub(now))
            };
            let Some(wait) = wait else {
                return Ok(());
            };
            let until = Instant::now() + wait;
            if until > deadline {
                tokio::time::sleep_until(deadline).await;
                return Err(PortError::new(
                    ErrorCode::Internal,
                    "an earlier call is stuck (simulated)",
                ));
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// The process ends here; nothing in it goes on.
    async fn die<T>(&self) -> T {
        self.death.notify_one();
        std::future::pending().await
    }
}

fn broken<T>(call: &Call) -> PortResult<T> {
    let sentence = format!("{} fails (simulated)", call.name);
    Err(PortError::new(ErrorCode::Internal, sentence))
}

fn late<T>(call: &Call) -> PortResult<T> {
    let sentence = format!("{} did not answer in time (simulated)", call.name);
    Err(PortError::new(ErrorCode::Internal, sentence))
}

impl State {
    /// The machine's time: it goes on when our process does not.
    pub fn now(&self) -> Duration {
        self.life.0 + self.life.1.map_or(Duration::ZERO, |begun| begun.elapsed())
    }

    /// Whether anything that may change the machine is still under way.
    pub fn is_at_rest(&self) -> bool {
        self.late.is_empty() && Arc::strong_count(&self.under_way) == 1
    }

    /// Writes for a person only: what happens in an order that tokio draws by
    /// a chance of its own (who is woken first of those who wait together), and
    /// that nothing else depends on.
    pub fn aside(&mut self, text: impl FnOnce() -> String) {
        if self.trace.loud {
            eprintln!("{:>10.3} {}", self.now().as_secs_f64(), text());
        }
    }

    /// Writes the trace.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        let text = text();
        for b in text.bytes() {
            self.trace.hash = (self.trace.hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.trace.loud {
            eprintln!("{:>10.3} {text}", self.now().as_secs_f64());
        }
    }

    /// What was done so far, as a number.
    pub fn hash(&self) -> u64 {
        self.trace.hash
    }

    /// Draws what becomes of a call, and how long it takes at least.
    fn fate(&mut self, call: &Call, slot: Option<Slot>) -> (Fate, Duration) {
        self.settle();
        match call.reads {
            true => self.readings += 1,
            false => self.changes += 1,
        }
        let mut takes = Duration::from_millis(self.rng.below(6));
        let dies = match &mut self.calls_to_live {
            Some(0) => true,
            Some(n) => {
                *n -= 1;
                false
            }
            None => false,
        };
        let mut strikes = |fault| self.faults.strikes(fault, &mut self.rng);
        let fate = if dies {
            Fate::Dies {
                after: self.rng.percent(50),
            }
        } else if strikes(Fault::FailsBefore) {
            Fate::FailsBefore
        } else if !call.reads && strikes(Fault::AnswerLost) {
            Fate::AnswerLost
        } else if call.halves && strikes(Fault::HalfApplied) {
            Fate::Half(SplitMix64::new(self.rng.draw()))
        } else if strikes(Fault::Hangs) {
            Fate::Hangs
        } else if call.late != Lateness::Never && !call.reads && strikes(Fault::Late) {
            let most = call.bound.as_millis() as u64 + 20_000;
            Fate::Late(Duration::from_millis(self.rng.below(most)))
        } else {
            if strikes(Fault::Slow) {
                takes += Duration::from_millis(self.rng.below(call.bound.as_millis() as u64 / 2));
            }
            Fate::Done
        };
        let told = match &fate {
            Fate::Done => "",
            Fate::FailsBefore => " fails before",
            Fate::AnswerLost => " loses its answer",
            Fate::Half(_) => " does a half",
            Fate::Hangs => " hangs",
            Fate::Late(_) => " is late",
            Fate::Dies { .. } => " is the last",
        };
        if !call.reads || !told.is_empty() {
            self.note(|| format!("call {} {slot:?}{told}", call.name));
        }
        (fate, takes)
    }

    fn happens<T>(
        &mut self,
        call: &Call,
        slot: Option<Slot>,
        effect: impl FnOnce(&mut State, Extent) -> PortResult<T>,
        extent: Extent,
    ) -> PortResult<T> {
        let result = effect(self, extent);
        if let Err(e) = &result {
            let sentence = e.sentence.clone();
            self.note(|| format!("     {} {slot:?}: {sentence}", call.name));
        }
        if !call.reads {
            self.check(call.name);
        }
        result
    }

    /// Has everything happen that is due.
    fn settle(&mut self) {
        let now = self.now();
        while let Some(i) = (0..self.late.len())
            .filter(|i| self.late[*i].due <= now)
            .min_by_key(|i| self.late[*i].due)
        {
            let late = self.late.remove(i);
            self.machine.settling = true;
            (late.effect)(self);
            self.machine.settling = false;
            self.check("a late call");
            self.tell(EventOf::Wireguard);
            self.tell(EventOf::Containers);
        }
    }

    /// A removal that was broken off is ended by the engine itself.
    pub(crate) fn end_removals_later(&mut self) {
        if !self.machine.is_removing() {
            return;
        }
        let due = self.now() + Duration::from_millis(self.rng.below(20_000));
        let gone = self.rng.percent(50);
        let effect: Effect = Box::new(move |s| {
            s.machine.end_removals(gone);
            s.note(|| format!("the engine ends its removals; gone: {gone}"));
        });
        let queue = None;
        self.late.push(Late { due, queue, effect });
    }

    /// When it is the turn of a call for a slot, or of a reading of all.
    fn turn(&self, slot: Option<Slot>) -> Option<Duration> {
        let before = self.late.iter().filter(|l| match l.queue {
            None => false,
            Some(stuck) => slot.is_none() || stuck == slot,
        });
        before.map(|l| l.due).max()
    }

    /// An event, if it is not lost.
    fn tell(&mut self, of: EventOf) {
        if !self.faults.strikes(Fault::EventLost, &mut self.rng) {
            self.listeners
                .retain(|(port, to)| *port != of || to.send(()).is_ok());
        }
    }

    fn listen(&mut self, of: EventOf, to: UnboundedSender<()>) {
        self.listeners.push((of, to));
    }

    /// Keeps the first thing that must not be, in [`State::violation`].
    pub fn check(&mut self, after: &str) {
        if self.violation.is_some() {
            return;
        }
        if let Some(what) = watch::never(self) {
            self.note(|| format!("NEVER: {what}"));
            self.violation = Some(format!("after {after}: {what}"));
        }
    }
}
