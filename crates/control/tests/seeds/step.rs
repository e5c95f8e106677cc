//! A step of a history: some concurrent operations with faults; and the end,
//! without faults.

use super::{
    acknowledged::left_mesh,
    entropy,
    explain::spec_difference,
    history::{History, Process},
    operations::{Answer, Operation, Request},
    perform::{perform, seems_full},
    specs,
    time::pause,
};
use control::StoreSpecs;
use domain::{ErrorCode, SystemClock};
use futures_util::future::join_all;
use protocol::SpecFeed;
use provisioning::spec::docker_name;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};
use store::LOCAL_NODE;
use testkit::sim::faults::Fault;
use tokio::{task::JoinHandle, time::Instant};

/// Longest time from the last fault until the machine matches the spec, in
/// simulated time: a call that hangs may still take its timeout, and a failed
/// lane waits for half a minute.
const MAX_CONVERGENCE: Duration = Duration::from_secs(180);

/// Shortest time to wait for that in real time: other programs may use the
/// machine.
const MIN_REAL_TIME: Duration = Duration::from_secs(15);

/// The order of all beginnings and ends of operations.
static MOMENTS: AtomicU64 = AtomicU64::new(0);

fn moment() -> u64 {
    MOMENTS.fetch_add(1, Ordering::SeqCst)
}

/// How an operation is interrupted, after a number of polls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Interruption {
    None,
    /// The client goes away: the server drops the operation.
    ClientLeaves(u64),
    /// The process dies.
    ProcessDies(u64),
}

/// How a whole step is disturbed.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    None,
    /// Another process locks the database: after this many milliseconds, for
    /// this many milliseconds.
    DatabaseLocked(u64, u64),
    /// The database is closed and the process ended, after this many
    /// milliseconds.
    DatabaseCloses(u64),
    /// Every timer is late by this many milliseconds.
    TimersLate(u64),
}

impl History {
    /// Waits, interferes, runs concurrent operations, then checks the result.
    pub async fn step(&mut self, process: &Process, last: bool) -> Result<(), String> {
        let rng = self.generator.rng();
        let wait = match rng.below(10) {
            0..=3 => rng.below(50),
            4..=8 => rng.below(2_000),
            _ => rng.below(12_000),
        };
        let interferes = rng.percent(40);
        pause(wait).await;
        self.move_clock();
        self.use_data(process).await?;
        if interferes {
            self.sim.state().interfere();
        }
        let step = self.generator.step(&self.model);
        self.count_attempts(&step);
        let may_die = !last && self.sim.state().faults.has(Fault::ProcessDies);
        let disturbance = self.disturbance(may_die);
        self.note(|| format!("{} concurrent operations, {disturbance:?}", step.len()));
        let mut under_way = self.begin_all(process, step, may_die);
        under_way.push(tokio::spawn(self.more_data()));
        under_way.extend(self.begin_plan_change(process, may_die));
        let disturbed = self.disturb(process, disturbance);
        let (ended, ()) = tokio::join!(join_all(under_way), disturbed);
        if let Some(Err(panic)) = ended.into_iter().find(Result::is_err) {
            return Err(format!("an operation ended: {panic}"));
        }
        if matches!(disturbance, Disturbance::DatabaseCloses(_)) {
            // Nothing of this process is left: the next one checks.
            self.sim.kill_process();
            return std::future::pending().await;
        }
        self.settle(process).await
    }

    fn disturbance(&mut self, may_die: bool) -> Disturbance {
        let jumps = self.sim.state().faults.has(Fault::ClockJumps);
        let locks = self.sim.state().faults.has(Fault::DatabaseRefuses);
        let rng = self.generator.rng();
        // At the beginning, or while passwords are hashed, which takes long.
        let after = match rng.percent(50) {
            true => rng.below(300),
            false => rng.below(20_000),
        };
        match rng.below(100) {
            0..=9 if locks => Disturbance::DatabaseLocked(after, rng.below(20_000)),
            // Longer than the timeout for a connection.
            10..=13 if locks => Disturbance::DatabaseLocked(after, 60_000 + rng.below(60_000)),
            // Longer than SQLite itself waits, which is in real time.
            14 if locks => Disturbance::DatabaseLocked(after, 1_100_000),
            20..=25 if may_die => Disturbance::DatabaseCloses(after),
            30..=34 if jumps => Disturbance::TimersLate(rng.below(600_000)),
            _ => Disturbance::None,
        }
    }

    /// Applies the disturbance to the whole step.
    async fn disturb(&self, process: &Process, disturbance: Disturbance) {
        match disturbance {
            Disturbance::None => {}
            Disturbance::DatabaseLocked(after, millis) => {
                pause(after).await;
                if let Ok(_lock) = process.observer.lock_writes_for_test().await {
                    pause(millis).await;
                }
            }
            Disturbance::DatabaseCloses(after) => {
                pause(after).await;
                process.store.close().await;
            }
            Disturbance::TimersLate(millis) => {
                pause(100).await;
                tokio::time::advance(Duration::from_millis(millis)).await;
            }
        }
    }

    fn begin_all(
        &mut self,
        process: &Process,
        step: Vec<Operation>,
        may_die: bool,
    ) -> Vec<JoinHandle<()>> {
        let mut all = Vec::new();
        for (i, operation) in step.iter().enumerate() {
            let rng = self.generator.rng();
            let delay = match rng.percent(50) {
                true => 0,
                false => rng.below(300),
            };
            let interruption = match rng.below(100) {
                0..=5 if may_die => Interruption::ProcessDies(rng.below(40)),
                6..=15 => Interruption::ClientLeaves(rng.below(40)),
                _ => Interruption::None,
            };
            if let Request::SignUp {
                password,
                expected_error: None,
                ..
            }
            | Request::SignIn { password, .. } = &operation.request
            {
                self.secrets.lock().unwrap().push(password.clone());
            }
            self.note(|| {
                format!(
                    "  {} {delay} ms {interruption:?} {:?}",
                    operation.actor(),
                    operation.request
                )
            });
            all.push(self.one(process, i, operation.clone(), delay, interruption));
        }
        *self.step.lock().unwrap() = step;
        all.into_iter().map(tokio::spawn).collect()
    }

    /// Runs one operation from its beginning to its end.
    fn one(
        &self,
        process: &Process,
        i: usize,
        mut operation: Operation,
        delay: u64,
        interruption: Interruption,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (control, node) = (process.control.clone(), process.node.clone());
        let (step, acknowledged) = (self.step.clone(), self.acknowledged.clone());
        let (sim, secrets, slots) = (self.sim.clone(), self.secrets.clone(), self.slots.clone());
        async move {
            pause(delay).await;
            let before = acknowledged.begin(&operation);
            step.lock().unwrap()[i].began = Some(moment());
            let observe = |operation: &mut Operation| {
                let foreign = node.node().borrow().foreign_slots.clone();
                operation.seemed_full |= seems_full(&slots, &node.used_slots(), &foreign);
                operation.foreign.extend(foreign);
            };
            observe(&mut operation);
            let performing = entropy::with(operation.seed, &secrets, perform(&control, &operation));
            let Some(answer) = until(performing, interruption, &sim).await else {
                step.lock().unwrap()[i].ended = Some(moment());
                return;
            };
            let left_mesh = left_mesh(&operation, &answer);
            acknowledged.end(&operation, before, &answer, left_mesh);
            observe(&mut operation);
            let mut step = step.lock().unwrap();
            step[i].ended = Some(moment());
            step[i].answer = answer;
            step[i].seemed_full = operation.seemed_full;
            step[i].foreign = operation.foreign;
        }
    }

    /// Checks that without further faults everything recovers and works.
    pub async fn finish(&mut self, process: &Process) -> Result<(), String> {
        {
            let mut s = self.sim.state();
            s.faults.stop();
            s.stop_interference();
        }
        self.note(|| "from now on without faults".to_owned());
        let begun = Instant::now();
        self.converge(process, begun).await?;
        self.report.converged = begun.elapsed();
        // A last step with unlimited time: every operation is answered.
        let slow_down = self.time.slow_down();
        let step = self.generator.step(&self.model);
        self.count_attempts(&step);
        let under_way = self.begin_undisturbed(process, step);
        join_all(under_way).await;
        let unanswered = {
            let step = self.step.lock().unwrap();
            let is_unanswered = |o: &&Operation| {
                use ErrorCode::DatabaseUnavailable;
                matches!(
                    o.answer,
                    Answer::Lost | Answer::Refused(DatabaseUnavailable)
                )
            };
            step.iter()
                .find(is_unanswered)
                .map(|o| format!("{:?}", o.request))
        };
        if let Some(request) = unanswered {
            return Err(format!("no answer without faults: {request}"));
        }
        self.settle(process).await?;
        drop(slow_down);
        self.converge(process, Instant::now()).await?;
        self.finish_month(process).await?;
        self.checkpoint_is_newest(process).await
    }

    fn begin_undisturbed(
        &mut self,
        process: &Process,
        step: Vec<Operation>,
    ) -> Vec<JoinHandle<()>> {
        let one = |(i, operation): (usize, &Operation)| {
            self.one(process, i, operation.clone(), 0, Interruption::None)
        };
        let all: Vec<_> = step.iter().enumerate().map(one).collect();
        *self.step.lock().unwrap() = step;
        all.into_iter().map(tokio::spawn).collect()
    }

    /// Waits until the machine matches the database, the database matches the
    /// model, and every tenant is reported as ready.
    pub(super) async fn converge(&self, process: &Process, begun: Instant) -> Result<(), String> {
        let newest = StoreSpecs::new(process.observer.clone(), LOCAL_NODE, Arc::new(SystemClock));
        let real = std::time::Instant::now();
        loop {
            pause(1_000).await;
            let spec = {
                let _slow = self.time.slow_down();
                let loaded = newest.load(0).await;
                loaded.map_err(|e| format!("{e:?}"))?.spec
            };
            specs::learn(&self.sim, &spec);
            let difference = {
                let s = self.sim.state();
                if let Some(what) = s.violation.clone() {
                    return Err(what);
                }
                let machine = s.difference().or_else(|| unready(&s, process));
                machine.or_else(|| spec_difference(&self.model, &spec))
            };
            let difference = match difference {
                None => self.database_difference(process, &spec).await?,
                difference => difference,
            };
            match difference {
                None => return Ok(()),
                Some(difference)
                    if begun.elapsed() > MAX_CONVERGENCE && real.elapsed() > MIN_REAL_TIME =>
                {
                    return Err(format!(
                        "{difference}, {:?} after the last fault",
                        begun.elapsed()
                    ));
                }
                Some(_) => {}
            }
        }
    }

    async fn checkpoint_is_newest(&self, process: &Process) -> Result<(), String> {
        let newest = StoreSpecs::new(process.observer.clone(), LOCAL_NODE, Arc::new(SystemClock));
        // The file is written in real time, which passes more slowly here.
        let real = std::time::Instant::now();
        let mut pauses = 0;
        while pauses < 60 || real.elapsed() < MIN_REAL_TIME {
            pauses += 1;
            // A late reading may still reach a limit.
            let loaded = newest.load(0).await;
            let spec = loaded.map_err(|e| format!("{e:?}"))?.spec;
            let stored = self.checkpoint().read().map_err(|e| e.to_string())?;
            if stored.as_ref() == Some(&spec) {
                return Ok(());
            }
            pause(1_000).await;
        }
        Err("the checkpoint does not hold the newest spec".to_owned())
    }
}

/// Returns a tenant that should be reported as ready and is not.
fn unready(s: &testkit::sim::SimState, process: &Process) -> Option<String> {
    s.model.spec.tenants.values().find_map(|t| {
        let clash = s.foreign.interfaces.contains_key(&t.slot)
            || s.foreign
                .containers
                .contains(&docker_name(&t.private_key.public()));
        let state = process.node.tenant(t.slot).filter(|s| s.name == t.name);
        let ready = state.as_ref().is_some_and(|s| s.status.is_ready());
        let unready = !t.suspended && !clash && !ready;
        unready.then(|| format!("{} is reported as {state:?}", t.name))
    })
}

/// Runs an operation until its interruption; `None` if there is no answer.
pub(super) async fn until<T>(
    operation: impl Future<Output = T>,
    interruption: Interruption,
    sim: &testkit::sim::Sim,
) -> Option<T> {
    let mut operation = pin!(operation);
    let mut polls = 0;
    let ended = poll_fn(|cx| {
        match interruption {
            Interruption::ClientLeaves(n) if polls >= n => return Poll::Ready(None),
            Interruption::ProcessDies(n) if polls >= n => {
                sim.kill_process();
                return Poll::Pending;
            }
            _ => {}
        }
        polls += 1;
        operation.as_mut().poll(cx).map(Some)
    });
    ended.await
}
