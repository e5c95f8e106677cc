//! A step of a history: some operations at one time, each by itself, while
//! things go wrong; and the end, when nothing does any more.

use super::{
    act::{perform, seems_full, taken_out},
    asked::{Answer, Asked, Wish},
    chance,
    explain::spec_difference,
    life::{History, Process},
    specs,
    time::pause,
};
use control::StoreSpecs;
use domain::ErrorCode;
use futures_util::future::join_all;
use provisioning::SpecSource;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    task::Poll,
    time::Duration,
};
use store::LOCAL_NODE;
use testkit::sim::faults::Fault;
use tokio::{task::JoinHandle, time::Instant};

/// Longest way from the last fault to the spec, in the history's time: a call
/// that hangs may still take its bound, and a failed lane waits half a minute.
const CONVERGES: Duration = Duration::from_secs(180);

/// So much real time it has in any case: other programs may want the machine.
const AT_LEAST: Duration = Duration::from_secs(15);

/// All beginnings and ends, in their order.
static MOMENTS: AtomicU64 = AtomicU64::new(0);

fn moment() -> u64 {
    MOMENTS.fetch_add(1, Ordering::SeqCst)
}

/// What becomes of an operation, after so many polls.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Ends,
    /// Who asked goes away: the server drops it where it is.
    GoesAway(u64),
    /// The process dies where it is.
    Dies(u64),
}

/// How a step goes wrong as a whole.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    /// Another process takes the database's lock after so many milliseconds, and
    /// holds it for so many.
    Locked(u64, u64),
    /// The process is ended, with its database, after so many milliseconds.
    Ends(u64),
    /// Every timer is late by that many milliseconds.
    Stands(u64),
}

impl History {
    /// Something else, then some operations at one time, then a look at what
    /// has come of it.
    pub async fn step(&mut self, process: &Process, last: bool) -> Result<(), String> {
        let rng = self.draw.rng();
        let wait = match rng.below(10) {
            0..=3 => rng.below(50),
            4..=8 => rng.below(2_000),
            _ => rng.below(12_000),
        };
        let meddles = rng.percent(40);
        pause(wait).await;
        self.move_clock();
        if meddles {
            self.sim.state().meddle();
        }
        let step = self.draw.step(&self.model);
        self.count_tries(&step);
        let mortal = !last && self.sim.state().faults.has(Fault::ProcessDies);
        let trouble = self.trouble(mortal);
        self.note(|| format!("{} at once, {trouble:?}", step.len()));
        let under_way = self.begin_all(process, step, mortal);
        let whole = self.go_wrong(process, trouble);
        let (ended, ()) = tokio::join!(join_all(under_way), whole);
        if let Some(Err(panic)) = ended.into_iter().find(Result::is_err) {
            return Err(format!("an operation ended: {panic}"));
        }
        if matches!(trouble, Trouble::Ends(_)) {
            // Nothing of this process is left: the next one looks.
            self.sim.dies();
            return std::future::pending().await;
        }
        self.settle(process).await
    }

    fn trouble(&mut self, mortal: bool) -> Trouble {
        let jumps = self.sim.state().faults.has(Fault::ClockJumps);
        let locks = self.sim.state().faults.has(Fault::DatabaseRefuses);
        let rng = self.draw.rng();
        // At the beginning, or while passwords are hashed, which takes long.
        let after = match rng.percent(50) {
            true => rng.below(300),
            false => rng.below(20_000),
        };
        match rng.below(100) {
            0..=9 if locks => Trouble::Locked(after, rng.below(20_000)),
            // Longer than anybody waits for a connection.
            10..=13 if locks => Trouble::Locked(after, 60_000 + rng.below(60_000)),
            // Longer than SQLite itself waits, which is in real time.
            14 if locks => Trouble::Locked(after, 1_100_000),
            20..=25 if mortal => Trouble::Ends(after),
            30..=34 if jumps => Trouble::Stands(rng.below(600_000)),
            _ => Trouble::None,
        }
    }

    /// What goes wrong for all of them.
    async fn go_wrong(&self, process: &Process, trouble: Trouble) {
        match trouble {
            Trouble::None => {}
            Trouble::Locked(after, millis) => {
                pause(after).await;
                if let Ok(_lock) = process.observer.hold().await {
                    pause(millis).await;
                }
            }
            Trouble::Ends(after) => {
                pause(after).await;
                process.store.close().await;
            }
            Trouble::Stands(millis) => {
                pause(100).await;
                tokio::time::advance(Duration::from_millis(millis)).await;
            }
        }
    }

    fn begin_all(
        &mut self,
        process: &Process,
        step: Vec<Asked>,
        mortal: bool,
    ) -> Vec<JoinHandle<()>> {
        let mut all = Vec::new();
        for (i, asked) in step.iter().enumerate() {
            let rng = self.draw.rng();
            let delay = match rng.percent(50) {
                true => 0,
                false => rng.below(300),
            };
            let fate = match rng.below(100) {
                0..=5 if mortal => Fate::Dies(rng.below(40)),
                6..=15 => Fate::GoesAway(rng.below(40)),
                _ => Fate::Ends,
            };
            if let Wish::SignUp {
                password,
                flaw: None,
                ..
            }
            | Wish::SignIn { password, .. } = &asked.wish
            {
                self.secrets.lock().unwrap().push(password.clone());
            }
            self.note(|| format!("  {} {delay} ms {fate:?} {:?}", asked.actor(), asked.wish));
            all.push(self.one(process, i, asked.clone(), delay, fate));
        }
        *self.step.lock().unwrap() = step;
        all.into_iter().map(tokio::spawn).collect()
    }

    /// One operation, from its beginning to its end.
    fn one(
        &self,
        process: &Process,
        i: usize,
        mut asked: Asked,
        delay: u64,
        fate: Fate,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (control, node) = (process.control.clone(), process.node.clone());
        let (step, acknowledged) = (self.step.clone(), self.acknowledged.clone());
        let (sim, secrets, places) = (self.sim.clone(), self.secrets.clone(), self.places.clone());
        async move {
            pause(delay).await;
            let before = acknowledged.begins(&asked);
            step.lock().unwrap()[i].began = Some(moment());
            let look = |asked: &mut Asked| {
                let foreign = node.node().borrow().foreign_slots.clone();
                asked.seemed_full |= seems_full(&places, &node.held_slots(), &foreign);
                asked.foreign.extend(foreign);
            };
            look(&mut asked);
            let operation = chance::with(asked.seed, &secrets, perform(&control, &asked));
            let Some(answer) = until(operation, fate, &sim).await else {
                step.lock().unwrap()[i].ended = Some(moment());
                return;
            };
            let apart = taken_out(&asked, &answer);
            acknowledged.ends(&asked, before, &answer, apart);
            look(&mut asked);
            let mut step = step.lock().unwrap();
            step[i].ended = Some(moment());
            step[i].answer = answer;
            step[i].seemed_full = asked.seemed_full;
            step[i].foreign = asked.foreign;
        }
    }

    /// Nothing goes wrong any more: all becomes as it should, and works.
    pub async fn finish(&mut self, process: &Process) -> Result<(), String> {
        {
            let mut s = self.sim.state();
            s.faults.stop();
            s.hands_off();
        }
        self.note(|| "from now on nothing goes wrong".to_owned());
        let begun = Instant::now();
        self.converge(process, begun).await?;
        self.report.converged = begun.elapsed();
        // A last step, with all the time there is: everybody is answered.
        let slowly = self.pace.slowly();
        let step = self.draw.step(&self.model);
        self.count_tries(&step);
        let under_way = self.begin_well(process, step);
        join_all(under_way).await;
        let silent = {
            let step = self.step.lock().unwrap();
            let silent = |a: &&Asked| {
                use ErrorCode::DatabaseUnavailable;
                matches!(
                    a.answer,
                    Answer::Nothing | Answer::Refused(DatabaseUnavailable)
                )
            };
            step.iter().find(silent).map(|a| format!("{:?}", a.wish))
        };
        if let Some(wish) = silent {
            return Err(format!("no answer though nothing goes wrong: {wish}"));
        }
        self.settle(process).await?;
        drop(slowly);
        self.converge(process, Instant::now()).await?;
        self.copy_is_kept(process).await
    }

    fn begin_well(&mut self, process: &Process, step: Vec<Asked>) -> Vec<JoinHandle<()>> {
        let one = |(i, asked): (usize, &Asked)| self.one(process, i, asked.clone(), 0, Fate::Ends);
        let all: Vec<_> = step.iter().enumerate().map(one).collect();
        *self.step.lock().unwrap() = step;
        all.into_iter().map(tokio::spawn).collect()
    }

    /// The machine is what the database says, the database what the model
    /// says, and the tenants are told to be ready.
    async fn converge(&self, process: &Process, begun: Instant) -> Result<(), String> {
        let newest = StoreSpecs::new(process.observer.clone(), LOCAL_NODE);
        let really = std::time::Instant::now();
        loop {
            pause(1_000).await;
            let spec = {
                let _slowly = self.pace.slowly();
                newest.load().await.map_err(|e| e.to_string())?
            };
            specs::known(&self.sim, &spec);
            let open = {
                let s = self.sim.state();
                if let Some(what) = s.violation.clone() {
                    return Err(what);
                }
                let machine = s.difference().or_else(|| unready(&s, process));
                machine.or_else(|| spec_difference(&self.model, &spec))
            };
            let open = match open {
                None => self.differs(process).await?,
                open => open,
            };
            match open {
                None => return Ok(()),
                Some(open) if begun.elapsed() > CONVERGES && really.elapsed() > AT_LEAST => {
                    return Err(format!(
                        "{open}, {:?} after the last fault",
                        begun.elapsed()
                    ));
                }
                Some(_) => {}
            }
        }
    }

    async fn copy_is_kept(&self, process: &Process) -> Result<(), String> {
        let newest = StoreSpecs::new(process.observer.clone(), LOCAL_NODE);
        let spec = newest.load().await.map_err(|e| e.to_string())?;
        for _ in 0..60 {
            let kept = self.kept().read().map_err(|e| e.to_string())?;
            if kept.as_ref() == Some(&spec) {
                return Ok(());
            }
            pause(1_000).await;
        }
        Err("the copy of the spec is not the newest".to_owned())
    }
}

/// A tenant who is not told to be ready though it is so.
fn unready(s: &testkit::sim::State, process: &Process) -> Option<String> {
    s.world.spec.tenants.values().find_map(|t| {
        let clash = s.foreign.0.contains_key(&t.slot) || s.foreign.1.contains(&t.name.container());
        let told = process
            .node
            .tenant(t.slot)
            .filter(|told| told.name == t.name);
        let ready = told.as_ref().is_some_and(|told| told.status.is_ready());
        let unready = !t.suspended && !clash && !ready;
        unready.then(|| format!("{} is told to be {told:?}", t.name))
    })
}

/// Runs an operation until its fate; what came of it, if anybody heard.
async fn until<T>(
    operation: impl Future<Output = T>,
    fate: Fate,
    sim: &testkit::sim::Sim,
) -> Option<T> {
    let mut operation = pin!(operation);
    let mut polls = 0;
    let ended = poll_fn(|cx| {
        match fate {
            Fate::GoesAway(n) if polls >= n => return Poll::Ready(None),
            Fate::Dies(n) if polls >= n => {
                sim.dies();
                return Poll::Pending;
            }
            _ => {}
        }
        polls += 1;
        operation.as_mut().poll(cx).map(Some)
    });
    ended.await
}
