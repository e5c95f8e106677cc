//! Plays a history: lives of the process one after another, each a runtime of
//! its own that is dropped with everything in it; then, when nothing goes
//! wrong any more, the end.

use super::{Sim, State, faults::Fault};
use crate::samples;
use domain::Slot;
use provisioning::{Node, NodeHandle, node::TICK};
use std::{
    future::Future,
    path::Path,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Longest way from the last fault to the spec: a call that hangs may still
/// take its bound, and a failed lane waits half a minute.
const CONVERGES: Duration = Duration::from_secs(120);

/// Polls of the node's loop within one moment that are no loop yet.
const POLLS: u64 = 2_000;

/// How a history ended.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// A number of all that was done: two plays of one seed have the same.
    pub hash: u64,
    /// From the last fault to the spec.
    pub converged: Duration,
    /// Changing calls.
    pub changes: u64,
}

/// Plays the history of a seed.
///
/// # Errors
/// What was, and must not be; or what was not in the end, and must.
pub fn run(sim: &Sim) -> Result<Report, String> {
    let lives = 1 + sim.state().rng.below(4);
    let mut converged = Duration::ZERO;
    for life in 1..=lives {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|e| e.to_string())?;
        let result = runtime.block_on(async {
            let result = live(sim, life == lives).await;
            sim.ends();
            result
        });
        drop(runtime);
        converged = result?;
    }
    let s = sim.state();
    Ok(Report {
        hash: s.hash(),
        converged,
        changes: s.changes,
    })
}

impl Sim {
    /// A process begins; the `last` one does not die. What an earlier one asked
    /// for, and what is late, still happens.
    pub fn begins(&self, last: bool) {
        let stuck: Vec<Duration> = {
            let mut s = self.state();
            s.begin_life(last);
            let now = s.now();
            s.late.iter().map(|l| l.due.saturating_sub(now)).collect()
        };
        stuck.into_iter().for_each(|after| self.settle_at(after));
    }

    /// The process is no more; the machine's time goes on with the next one's.
    pub fn ends(&self) {
        self.state().pause();
    }

    /// The process dies now: whoever waits for [`Sim::died`] is told.
    pub fn dies(&self) {
        self.death.notify_one();
    }

    /// Waits until the process dies, in the middle of a call or by
    /// [`Sim::dies`].
    pub async fn died(&self) {
        self.death.notified().await;
    }
}

impl State {
    fn begin_life(&mut self, last: bool) {
        let down = Duration::from_millis(self.rng.below(5_000));
        self.life = (self.life.0 + down, Some(Instant::now()));
        self.listeners.clear();
        let asked = self.late.iter().filter_map(|l| l.queue?);
        self.machine.asked = asked.collect();
        self.world.forget_given();
        let dies = !last && self.faults.has(Fault::ProcessDies) && self.rng.percent(70);
        self.calls_to_live = dies.then(|| self.rng.below(150));
        self.note(|| format!("a process begins; last: {last}"));
    }

    fn pause(&mut self) {
        self.life = (self.now(), None);
        self.note(|| "the process is no more".to_owned());
    }
}

async fn live(sim: &Sim, last: bool) -> Result<Duration, String> {
    sim.begins(last);
    let settings = samples::settings(Path::new("/simulated"));
    let (node, handle) = Node::new(sim.ports(), settings);
    let checked = sim.state().checked;
    let node = if checked { node.checked() } else { node };
    let polls = Polls::default();
    let mut running = tokio::spawn(Counted {
        node: Box::pin(node.run(std::future::pending())),
        polls: polls.clone(),
        moment: (Instant::now(), 0),
    });
    let story = async {
        script(sim, &handle).await;
        match last {
            true => finish(sim, &handle, &polls).await,
            false => Ok(Duration::ZERO),
        }
    };
    let result = tokio::select! {
        biased;
        () = sim.died() => Ok(Duration::ZERO),
        ended = &mut running => Err(format!("the node ended: {ended:?}")),
        result = story => result,
    };
    match sim.state().violation.take() {
        Some(what) => Err(what),
        None => result,
    }
}

/// People and other hands, one after another.
async fn script(sim: &Sim, handle: &NodeHandle) {
    let steps = 5 + sim.state().rng.below(25);
    for _ in 0..steps {
        let (pause, what, jump) = {
            let mut s = sim.state();
            let pause = match s.rng.below(10) {
                0..=3 => s.rng.below(20),
                4..=7 => s.rng.below(3_000),
                _ => s.rng.below(15_000),
            };
            let jumps = s.rng.percent(3) && s.faults.has(Fault::ClockJumps);
            let jump = jumps.then(|| Duration::from_secs(s.rng.below(600)));
            (Duration::from_millis(pause), s.rng.below(10), jump)
        };
        sleep(pause).await;
        if let Some(jump) = jump {
            sim.state().note(|| format!("the clock jumps by {jump:?}"));
            tokio::time::advance(jump).await;
        }
        match what {
            0..=6 => act(sim, handle),
            _ => sim.state().meddle(),
        }
        if sim.state().violation.is_some() {
            return;
        }
    }
}

/// Somebody changes something, and may wait to be told that it is in force, by
/// the calls by which `control` waits.
fn act(sim: &Sim, handle: &NodeHandle) {
    let (act, patience) = {
        let mut s = sim.state();
        let Some(act) = s.world.act() else {
            return;
        };
        s.note(|| format!("{} {}: generation {}", act.slot, act.what, act.generation));
        let lost = s.faults.strikes(Fault::NudgeLost, &mut s.rng.clone());
        let patience = (!lost).then(|| Duration::from_millis(500 + s.rng.below(20_000)));
        (act, patience)
    };
    let Some(patience) = patience else {
        return;
    };
    let (slot, generation) = (act.slot, act.generation);
    if act.left {
        let (sim, handle) = (sim.clone(), handle.clone());
        tokio::spawn(async move {
            if handle.gone(slot, generation, patience).await {
                let mut s = sim.state();
                s.aside(|| format!("{slot} is told: who left with {generation} is gone"));
                s.world.acknowledge_gone(slot, generation);
                s.check("an acknowledgement");
            }
        });
    }
    let (sim, handle) = (sim.clone(), handle.clone());
    tokio::spawn(async move {
        if handle.applied(slot, generation, patience).await {
            let mut s = sim.state();
            s.aside(|| format!("{slot} is told: generation {generation} is in force"));
            s.world.acknowledge(slot, generation);
            s.check("an acknowledgement");
        }
    });
}

/// Nothing goes wrong any more: all becomes as it should, and then rests.
async fn finish(sim: &Sim, handle: &NodeHandle, polls: &Polls) -> Result<Duration, String> {
    {
        let mut s = sim.state();
        s.faults.stop();
        s.hands_off();
    }
    let begun = Instant::now();
    let mut converged = None;
    loop {
        sleep(Duration::from_secs(1)).await;
        let s = sim.state();
        if s.violation.is_some() {
            return Ok(Duration::ZERO);
        }
        let took = begun.elapsed();
        match s.difference().or_else(|| untold(&s, handle)) {
            None => drop(converged.get_or_insert(took)),
            Some(open) if took > CONVERGES => {
                return Err(format!("{open}, {took:?} after the last fault"));
            }
            // A late call undid it.
            Some(_) => converged = None,
        }
        // An image may still be coming, for minutes.
        if converged.is_some() && s.is_at_rest() {
            break;
        }
    }
    let converged = converged.unwrap_or_default();
    // What is under way ends; after that nothing is done at all.
    sleep(TICK + Duration::from_secs(1)).await;
    let before = {
        let s = sim.state();
        (s.changes, s.readings, polls.count())
    };
    sleep(TICK * 2).await;
    let s = sim.state();
    if let Some(open) = s.difference() {
        return Err(format!("it did not last: {open}"));
    }
    if s.changes != before.0 {
        let n = s.changes - before.0;
        return Err(format!("{n} changes where nothing is to be done"));
    }
    // The spec, four ports and four AdGuard Homes a tick. Nine seeds of
    // 10,000 read once more, which is not explained yet (1477 is one of them).
    let readings = s.readings - before.1;
    if readings > 2 * (1 + 4 + 4) + 1 {
        return Err(format!("{readings} readings in two ticks of rest"));
    }
    let polled = polls.count() - before.2;
    if polled > 200 {
        return Err(format!(
            "the node was polled {polled} times in two ticks of rest"
        ));
    }
    Ok(converged)
}

/// What the node does not tell though it is so.
fn untold(s: &State, handle: &NodeHandle) -> Option<String> {
    let told = |slot: Slot| handle.tenant(slot);
    s.world.spec.tenants.values().find_map(|t| {
        let state = told(t.slot).filter(|state| state.name == t.name);
        let Some(state) = state else {
            return Some(format!("the node does not know {}", t.name));
        };
        let clash = s.foreign.0.contains_key(&t.slot) || s.foreign.1.contains(&t.name.container());
        if state.applied != s.world.spec.generation {
            return Some(format!("{} is told to be at {}", t.name, state.applied));
        }
        let unready = !t.suspended && !clash && !state.status.is_ready();
        unready.then(|| format!("{} is told to be {:?}", t.name, state.status))
    })
}

/// How often the node's loop was polled.
#[derive(Clone, Default)]
struct Polls(std::sync::Arc<std::sync::Mutex<u64>>);

impl Polls {
    fn count(&self) -> u64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a future's polls, and ends it where it turns in a circle: simulated
/// time would stand still for ever.
struct Counted<F> {
    node: Pin<Box<F>>,
    polls: Polls,
    moment: (Instant, u64),
}

impl<F: Future<Output = ()>> Future for Counted<F> {
    type Output = &'static str;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        *self.polls.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let now = Instant::now();
        if self.moment.0 != now {
            self.moment = (now, 0);
        }
        self.moment.1 += 1;
        if self.moment.1 > POLLS {
            return Poll::Ready("it turns in a circle");
        }
        self.node.as_mut().poll(cx).map(|()| "by itself")
    }
}
