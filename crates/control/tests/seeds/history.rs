//! Plays a history: several lives of the process one after another, each with a
//! runtime of its own that is dropped together with `control`, the node and the
//! store in it; then, without any further faults, the end.

use super::{
    acknowledged::Acknowledged,
    entropy::{self, Secrets},
    explain::{difference, explain},
    generator::Generator,
    model::{Context, Model},
    operations::{Answer, Operation, Request},
    quota::Months,
    settings::control_settings,
    snapshot::Snapshot,
    specs::Specs,
    time::{TimeLapse, pause},
    traffic::Traffic,
};
use agent::{Agent, FeedSource, SpecCheckpoint};
use control::{Control, ControlParts, StoreSpecs};
use domain::{Clock, Slot, Timestamp};
use protocol::NodeSpec;
use provisioning::{NodeHandle, NodePorts};
use seal::Sealer;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use store::{DatabaseUrl, LOCAL_NODE, Store};
use testkit::{
    fakes::FakeClock,
    samples,
    sim::{Sim, faults::Fault, rng::SplitMix64},
};

/// How long the old process's connections may take to close, in real time.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(20);

/// Attempts to lock the database, each with the timeout of the store.
const LOCK_ATTEMPTS: usize = 100;

/// The seed of the operation that creates the first operator.
const OPERATOR_SEED: u64 = 0x6f70_6572;

/// The results of a history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// The number of operations.
    pub operations: u64,
    /// Operations that got an answer.
    pub answered: u64,
    /// Revocations that were done, and those of them that were acknowledged.
    pub revoked: (u64, u64),
    /// Deaths of the process.
    pub deaths: u64,
    /// Months that began, and quotas that were reached.
    pub quotas: (u64, u64),
    /// Time from the last fault until the machine matched the spec, in
    /// simulated time.
    pub converged: Duration,
}

/// A history while it is played. It outlives the process.
pub struct History {
    pub sim: Sim,
    pub clock: FakeClock,
    pub slots: BTreeSet<Slot>,
    pub model: Model,
    pub generator: Generator,
    pub secrets: Secrets,
    pub acknowledged: Acknowledged,
    pub traffic: Traffic,
    pub months: Months,
    pub time: TimeLapse,
    pub report: Report,
    /// The operations that are not explained yet.
    pub step: Arc<Mutex<Vec<Operation>>>,
    root: tempfile::TempDir,
    sealer: Sealer,
    /// The number of lines of the log that are explained.
    lines: usize,
    /// Attempts at passwords by name, since the process began.
    pub attempts: BTreeMap<String, u32>,
    verbose: bool,
}

/// The process while it lives.
pub struct Process {
    pub store: Store,
    /// Another process's connection to the same file, e.g. the command line's.
    pub observer: Store,
    pub control: Control,
    pub node: NodeHandle,
}

impl History {
    /// Creates the history of a seed.
    pub fn new(seed: u64, verbose: bool) -> Self {
        let mut rng = SplitMix64::new(seed ^ 0x636f_6e74_726f_6c00);
        let sim = Sim::new(
            rng.draw(),
            samples::settings("/simulated".as_ref()),
            verbose,
        );
        let mut key = [0; 32];
        key[..8].copy_from_slice(&rng.draw().to_be_bytes());
        Self {
            acknowledged: Acknowledged::new(&sim),
            traffic: Traffic::new(sim.clone()),
            months: Months::default(),
            sim,
            clock: FakeClock::at(Timestamp::from_secs(1_795_478_400)),
            slots: (1..=4).filter_map(Slot::new).collect(),
            model: Model::default(),
            generator: Generator::new(rng),
            secrets: Secrets::default(),
            time: TimeLapse::new(),
            report: Report::default(),
            step: Arc::default(),
            root: tempfile::tempdir().unwrap(),
            sealer: Sealer::from_key(key),
            lines: 0,
            attempts: BTreeMap::new(),
            verbose,
        }
    }

    /// Plays the history.
    ///
    /// # Errors
    /// A description of what must not have happened, or should have and did
    /// not.
    pub fn play(&mut self) -> Result<Report, String> {
        let lives = 1 + self.generator.rng().below(4);
        for life in 1..=lives {
            let last = life == lives;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .map_err(|e| e.to_string())?;
            let result = runtime.block_on(async {
                let time = self.time.start();
                let result = self.live(last).await;
                self.sim.end_process();
                time.abort();
                result
            });
            // Everything that was under way ends here.
            drop(runtime);
            self.acknowledged.drop_pending();
            result?;
            self.wait_until_closed()?;
            self.report.deaths += u64::from(!last);
        }
        self.report.revoked = self.acknowledged.count();
        self.check_secrets()?;
        Ok(self.report)
    }

    fn database(&self) -> PathBuf {
        self.root.path().join("database.sqlite")
    }

    pub fn checkpoint(&self) -> SpecCheckpoint {
        let path = self.root.path().join("last_spec");
        SpecCheckpoint::new(path, self.sealer.clone(), LOCAL_NODE)
    }

    /// Waits until nothing of the dead process has the database open. Its
    /// threads end with it; ours end when their current work is done.
    fn wait_until_closed(&self) -> Result<(), String> {
        let path = self.database();
        let begun = Instant::now();
        let is_open = || {
            let all = fs::read_dir("/proc/self/fd")
                .into_iter()
                .flatten()
                .flatten();
            all.filter_map(|fd| fs::read_link(fd.path()).ok())
                .any(|target| {
                    target
                        .as_os_str()
                        .as_encoded_bytes()
                        .starts_with(path.as_os_str().as_encoded_bytes())
                })
        };
        while is_open() {
            if begun.elapsed() > CLOSE_TIMEOUT {
                return Err("the dead process's connections were not closed".to_owned());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    async fn live(&mut self, last: bool) -> Result<(), String> {
        let (process, agent) = self.start_process(last).await?;
        let mut running = tokio::spawn(agent.run(std::future::pending()));
        let background = process.control.clone();
        tokio::spawn(async move { background.run().await });
        let sim = self.sim.clone();
        let result = tokio::select! {
            biased;
            () = sim.process_died() => Ok(()),
            ended = &mut running => Err(format!("the node ended: {ended:?}")),
            result = self.run_steps(&process, last) => result,
        };
        match sim.state().violation.take() {
            Some(violation) => Err(violation),
            None => result,
        }
    }

    async fn start_process(&mut self, last: bool) -> Result<(Process, Agent), String> {
        let url = DatabaseUrl::Sqlite(self.database());
        let slow = self.time.slow_down();
        let open = || Store::open(&url, self.sealer.clone());
        let store = open().await.map_err(|e| e.to_string())?;
        let observer = open().await.map_err(|e| e.to_string())?;
        drop(slow);
        // Whatever the last process was doing, the checkpoint is complete.
        self.checkpoint()
            .read()
            .map_err(|e| format!("last_spec: {e}"))?;
        self.sim.start_process(last);
        self.attempts.clear();
        let feed = StoreSpecs::new(store.clone(), LOCAL_NODE, Arc::new(self.clock.clone()));
        let source = Arc::new(FeedSource::new(Arc::new(feed), Some(self.checkpoint())));
        let ports = NodePorts {
            specs: Arc::new(Specs::new(source.clone(), self.sim.clone())),
            wireguard: Arc::new(self.traffic.clone()),
            ..self.sim.ports()
        };
        let settings = samples::settings("/simulated".as_ref());
        let agent = Agent::following(LOCAL_NODE, ports, settings, &source);
        let nodes = agent.nodes();
        let node = nodes.engine().clone();
        let excluded = Slot::all().filter(|s| !self.slots.contains(s)).collect();
        let control = Control::new(ControlParts {
            names: None,
            store: store.clone(),
            nodes: Arc::new(nodes),
            clock: Arc::new(self.clock.clone()),
            entropy: entropy::entropy(),
            settings: control_settings(excluded),
            workers: control::WorkerAccess::NeedsPostgres,
        });
        let process = Process {
            store,
            observer,
            control,
            node,
        };
        Ok((process, agent))
    }

    async fn run_steps(&mut self, process: &Process, last: bool) -> Result<(), String> {
        // First, what the last process left.
        self.settle(process).await?;
        let operator = process.control.operators().first_link();
        if let Ok(Some(link)) = entropy::with(OPERATOR_SEED, &self.secrets, operator).await {
            let mut secrets = self.secrets.lock().unwrap();
            secrets.push(link.token.expose().to_owned());
        }
        let steps = 3 + self.generator.rng().below(8);
        for _ in 0..steps {
            self.step(process, last).await?;
        }
        match last {
            true => self.finish(process).await,
            false => Ok(()),
        }
    }

    /// Reads the result of a step and checks that it can be explained.
    pub async fn settle(&mut self, process: &Process) -> Result<(), String> {
        let snapshot = self.read(process).await?;
        if let Some(violation) = snapshot.violation(&self.slots) {
            return Err(violation);
        }
        let now = self.clock.now();
        if let Some(violation) = self.months.violation(&snapshot, &self.traffic, now) {
            return Err(violation);
        }
        let reached = snapshot.rows.iter().filter(|r| r.action == "quota.reached");
        self.report.quotas = (self.months.begun, reached.count() as u64);
        self.acknowledged.drop_pending();
        let step = std::mem::take(&mut *self.step.lock().unwrap());
        let rows = snapshot.rows.get(self.lines..).unwrap_or_default();
        let rows = rows.iter();
        let rows = rows.filter(|r| !r.is_first_operator() && !r.is_of_plan());
        let rows: Vec<_> = rows.cloned().collect();
        let context = Context {
            slots: &self.slots,
            now: self.clock.now(),
            attempts: &self.attempts,
            snapshot: &snapshot,
        };
        self.model = explain(&self.model, &step, &rows, &context)?;
        self.lines = snapshot.rows.len();
        self.generator.remember(&self.model);
        self.secrets
            .lock()
            .unwrap()
            .extend(snapshot.hashes.iter().cloned());
        self.report.operations += step.len() as u64;
        let is_answered = |o: &&Operation| !matches!(o.answer, Answer::Lost);
        self.report.answered += step.iter().filter(is_answered).count() as u64;
        match self.sim.state().violation.clone() {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }

    /// Reads everything in the database once nothing is under way: a client
    /// that went away may have left a transaction that is still ending.
    async fn read(&self, process: &Process) -> Result<Snapshot, String> {
        let _slow = self.time.slow_down();
        for _ in 0..LOCK_ATTEMPTS {
            if let Ok(_lock) = process.store.lock_writes_for_test().await {
                let snapshot = Snapshot::read(&process.observer).await;
                return snapshot.map_err(|e| format!("{e:?}"));
            }
            pause(1_000).await;
        }
        Err("the database could not be locked".to_owned())
    }

    /// Prints a line if the history is verbose.
    pub fn note(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{:>10.3} {}", self.sim.state().now().as_secs_f64(), text());
        }
    }

    /// Counts the attempts at passwords of a step.
    pub fn count_attempts(&mut self, step: &[Operation]) {
        for operation in step {
            if let Request::SignIn { name, .. } = &operation.request {
                *self.attempts.entry(name.clone()).or_default() += 1;
            }
        }
    }

    /// Advances the wall clock, or makes it jump if this history has such
    /// jumps.
    pub fn move_clock(&mut self) {
        let mut by = self.generator.rng().below(2_000) as i64;
        if self.sim.state().faults.has(Fault::ClockJumps) && self.generator.rng().percent(10) {
            let far = self.generator.rng().below(7_200_000) as i64;
            by = far - 3_600_000;
        }
        self.clock.advance(by);
        self.model.note_clock(self.clock.now());
    }

    /// Checks that the files of the database and the checkpoint contain no
    /// secret that is not sealed.
    fn check_secrets(&self) -> Result<(), String> {
        let secrets = self.secrets.lock().unwrap();
        for file in fs::read_dir(self.root.path())
            .map_err(|e| e.to_string())?
            .flatten()
        {
            let bytes = fs::read(file.path()).map_err(|e| e.to_string())?;
            let text = String::from_utf8_lossy(&bytes);
            // A hash of a password may be there.
            let secret = |s: &&String| !s.starts_with('$') && text.contains(s.as_str());
            if secrets.iter().any(|s| secret(&s)) {
                return Err(format!(
                    "a secret is in {:?} in clear text",
                    file.file_name()
                ));
            }
        }
        Ok(())
    }

    /// Returns the first difference between the database and the model, and from what has
    /// passed the tunnels.
    pub async fn database_difference(
        &self,
        process: &Process,
        spec: &NodeSpec,
    ) -> Result<Option<String>, String> {
        let snapshot = self.read(process).await?;
        let now = self.clock.now();
        let of_months = || self.months.difference(&snapshot, &self.traffic, spec, now);
        Ok(difference(&self.model, &snapshot).or_else(of_months))
    }
}
