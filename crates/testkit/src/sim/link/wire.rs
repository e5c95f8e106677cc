//! The questions of a worker for its spec, and the answers of the control planes.

use super::{control_plane::ControlPlane, link_state::Direction};
use crate::sim::{Sim, faults::Fault};
use async_trait::async_trait;
use domain::{ErrorCode, Message, Problem};
use protocol::{
    SpecAnswer, SpecFeed,
    wire::{POLL_TIME, SpecQuery, SpecUpdate},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until, timeout},
};

/// After so long without a sign of the other side, a connection is given up.
const SILENCE: Duration = Duration::from_secs(16);
/// The longest that a question is waited for.
const PATIENCE: Duration = Duration::from_secs(48);
/// How often a control plane compares the generation while a question waits.
const CHECK_INTERVAL: Duration = Duration::from_secs(7);
/// What an answer that says nothing new takes at least.
const LEAST: Duration = Duration::from_secs(1);

/// A worker's end of the link, and the control planes at the other.
#[derive(Clone)]
pub struct Wire {
    sim: Sim,
    /// What the control planes read.
    database: Arc<dyn SpecFeed>,
    /// Wakes the engine.
    nudge: Arc<dyn Fn() + Send + Sync>,
}

/// A question on its way.
struct Question {
    control_plane: usize,
    query: SpecQuery,
    restores: u64,
    arrives: Duration,
    /// How long the worker waits before it asks another control plane, as it does where that one
    /// has something new.
    patience: Duration,
    /// When the control plane dies: before it has read the database, or after.
    dies: Option<(Dies, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    BeforeReading,
    AfterReading,
}

/// There is no answer.
struct Lost;

impl Wire {
    /// Creates the link of a process.
    pub fn new(
        sim: &Sim,
        database: Arc<dyn SpecFeed>,
        nudge: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        sim.state().link.is_used = true;
        Self {
            sim: sim.clone(),
            database,
            nudge: Arc::new(nudge),
        }
    }

    /// Asks for the spec until the process ends.
    pub async fn poll(self) {
        loop {
            let begun = Instant::now();
            match self.ask().await {
                Ok(true) => (self.nudge)(),
                Ok(false) => sleep_until(begun + LEAST).await,
                Err(Lost) => {
                    let pause = {
                        let mut s = self.sim.state();
                        s.link.asked = (s.link.asked + 1) % s.link.control_planes.len();
                        let next = s.link.asked;
                        s.record(|| format!("no answer; control plane {next} is asked next"));
                        Duration::from_millis(s.link.rng.below(4_000))
                    };
                    sleep(pause).await;
                }
            }
        }
    }

    async fn ask(&self) -> Result<bool, Lost> {
        let question = self.question();
        let (answer, mut answered) = oneshot::channel();
        let patience = question.patience;
        // It goes on where the worker has given up: nothing tells it.
        tokio::spawn(self.clone().exchange(question, answer));
        let deadline = Instant::now() + patience;
        loop {
            match timeout(patience.min(SILENCE), &mut answered).await {
                Ok(Ok(bytes)) => return self.take(bytes.as_deref()),
                Ok(Err(_)) => return Err(Lost),
                Err(_) if self.sim.state().is_cut() => return Err(Lost),
                Err(_) if Instant::now() >= deadline => return Err(Lost),
                Err(_) => {}
            }
        }
    }

    fn question(&self) -> Question {
        let mut s = self.sim.state();
        s.draw_partition();
        let dies = s.link_strikes(Fault::ControlPlaneReplaced).then(|| {
            let when = match s.link.rng.percent(50) {
                true => Dies::BeforeReading,
                false => Dies::AfterReading,
            };
            (when, s.link.rng.percent(50))
        });
        let patience = match s.link_strikes(Fault::LinkReordered) {
            true => Duration::from_millis(s.link.rng.below(3_000)),
            false => PATIENCE,
        };
        let question = Question {
            control_plane: s.link.asked,
            query: s.link.received.query(POLL_TIME.as_secs()),
            restores: s.link.restores,
            arrives: s.draw_transit(Direction::ToControlPlane),
            patience,
            dies,
        };
        let (n, has) = (question.control_plane, &question.query);
        let (since, whole) = (has.since, has.digest.is_none());
        s.record(|| format!("control plane {n} is asked: since {since}; whole: {whole}"));
        question
    }

    /// Carries a question to its control plane, and the answer back.
    async fn exchange(self, question: Question, answer: oneshot::Sender<Option<Vec<u8>>>) {
        sleep(question.arrives).await;
        let Ok(bytes) = self.answer(&question).await else {
            return;
        };
        let (takes, again, cut) = {
            let mut s = self.sim.state();
            let takes = s.draw_transit(Direction::ToWorker);
            let again = s.link_strikes(Fault::LinkDuplicated);
            let again = again.then(|| Duration::from_millis(s.link.rng.below(20_000)));
            let cut = s.link_strikes(Fault::LinkCut).then(|| s.link.rng.draw());
            (takes, again, cut)
        };
        let mut arriving = bytes.clone();
        if let (Some(bytes), Some(at)) = (&mut arriving, cut) {
            let length = at % (bytes.len() as u64 + 1);
            bytes.truncate(usize::try_from(length).unwrap_or(0));
        }
        sleep(takes).await;
        if !self.arrives(&question) {
            return;
        }
        if let Err(bytes) = answer.send(arriving)
            && self.sim.state().faults.has(Fault::LinkReordered)
        {
            self.take_late(bytes.as_deref(), "late");
        }
        if let Some(after) = again {
            sleep(after).await;
            if self.arrives(&question) {
                self.take_late(bytes.as_deref(), "again");
            }
        }
    }

    fn arrives(&self, question: &Question) -> bool {
        self.sim.state().link.restores == question.restores
    }

    /// Answers a question, or waits until there is something to answer.
    async fn answer(&self, question: &Question) -> Result<Option<Vec<u8>>, Lost> {
        let n = question.control_plane;
        if let Some((Dies::BeforeReading, silent)) = question.dies {
            return self.die(n, silent).await;
        }
        let deadline = Instant::now() + POLL_TIME;
        loop {
            let nudged = self.sim.nudges.clone();
            let nudged = nudged.notified();
            let read = self.database.load(question.query.since).await;
            let SpecAnswer { spec, restored } = read.map_err(|_| Lost)?;
            let answer = {
                let mut s = self.sim.state();
                let control_plane = &mut s.link.control_planes[n];
                control_plane.answer(&question.query, &spec, restored)
            };
            let answer = answer.map_err(|what| {
                self.sim.state().violation = Some(what);
                Lost
            })?;
            if let Some((Dies::AfterReading, silent)) = question.dies {
                return self.die(n, silent).await;
            }
            if answer.is_some() || Instant::now() >= deadline {
                return Ok(answer);
            }
            let _ = timeout(CHECK_INTERVAL, nudged).await;
        }
    }

    /// Ends a control plane, with or without a sign. Its successor knows nothing.
    async fn die<T>(&self, n: usize, silent: bool) -> Result<T, Lost> {
        {
            let mut s = self.sim.state();
            s.link.control_planes[n] = ControlPlane::default();
            s.record(|| format!("control plane {n} dies; silent: {silent}"));
        }
        if silent {
            sleep(SILENCE).await;
        }
        Err(Lost)
    }

    /// Takes an answer. Returns whether it is something new.
    fn take(&self, bytes: Option<&[u8]>) -> Result<bool, Lost> {
        let Some(bytes) = bytes else {
            return Ok(false);
        };
        let mut s = self.sim.state();
        let Ok(update) = SpecUpdate::from_bytes(bytes) else {
            s.record(|| "the answer is cut short".to_owned());
            return Err(Lost);
        };
        let (generation, full) = (update.spec.generation, update.full);
        let taken = s.link.received.take(update);
        let result = taken.as_ref().map_err(ToString::to_string);
        s.record(|| format!("generation {generation} arrives; whole: {full}; new: {result:?}"));
        // What does not fit is asked for again, whole.
        Ok(taken.unwrap_or(false))
    }

    fn take_late(&self, bytes: Option<&[u8]>, how: &'static str) {
        self.sim
            .state()
            .record(|| format!("an answer arrives {how}"));
        if let Ok(true) = self.take(bytes) {
            (self.nudge)();
        }
    }
}

/// What an engine loads: what has been received.
#[async_trait]
impl SpecFeed for Wire {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        let answer = self.sim.state().link.received.load(in_force);
        answer.ok_or(Problem {
            code: ErrorCode::DatabaseUnavailable,
            message: Message::ControlPlaneNotHeard,
        })
    }
}

impl Sim {
    /// Waits until a report of the node has arrived at the control planes.
    pub(crate) async fn report_arrives(&self) {
        let takes = {
            let mut s = self.state();
            if !s.is_worker() {
                return;
            }
            s.draw_transit(Direction::ToControlPlane)
        };
        sleep(takes).await;
    }
}
