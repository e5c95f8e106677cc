//! Plays a history: lives of the process one after another, each a runtime of
//! its own that is dropped with `control`, the node and the store in it; then,
//! when nothing goes wrong any more, the end.

use super::{
    act::Acknowledged,
    asked::{Answer, Asked, Wish},
    chance::{self, Secrets},
    draw::Draw,
    explain::{difference, explain},
    model::{Model, Rules},
    seen::Seen,
    specs::Specs,
    time::{Pace, pause},
};
use control::{
    CapacitySettings, Control, ControlParts, ControlSettings, KeepingSpecs, KeptSpec, StoreSpecs,
};
use domain::{AddressPlan, Slot, Timestamp};
use provisioning::{Clock, Node, NodeHandle, NodePorts};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use store::{DatabaseUrl, LOCAL_NODE, Sealer, Store};
use testkit::{
    fakes::FakeClock,
    samples,
    sim::{Sim, faults::Fault, rng::SplitMix64},
};

/// How long the old process's connections may take to close, in real time.
const CLOSES: Duration = Duration::from_secs(20);

/// Tries at the database's lock, each as long as anybody waits for it.
const TRIES: usize = 100;

/// The operation that is drawn for nobody: the first operator.
const OPERATOR: u64 = 0x6f70_6572;

/// How a history went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Operations.
    pub asked: u64,
    /// Those that got an answer.
    pub answered: u64,
    /// Revocations that were done, and those of them that were acknowledged.
    pub revoked: (u64, u64),
    /// Deaths.
    pub deaths: u64,
    /// From the last fault to the spec, in the history's time.
    pub converged: Duration,
}

/// A history while it is played. It outlives the process.
pub struct History {
    pub sim: Sim,
    pub clock: FakeClock,
    pub places: BTreeSet<Slot>,
    pub model: Model,
    pub draw: Draw,
    pub secrets: Secrets,
    pub acknowledged: Acknowledged,
    pub pace: Pace,
    pub report: Report,
    /// What was asked for and is not explained yet.
    pub step: Arc<Mutex<Vec<Asked>>>,
    root: tempfile::TempDir,
    sealer: Sealer,
    /// Lines of the log that are explained.
    lines: usize,
    /// Tries at passwords by name, since the process began.
    pub tries: BTreeMap<String, u32>,
    loud: bool,
}

/// A process while it lives.
pub struct Process {
    pub store: Store,
    /// Another process's way to the same file, e.g. the command line's.
    pub observer: Store,
    pub control: Control,
    pub node: NodeHandle,
}

impl History {
    /// The history of a seed, at its beginning.
    pub fn new(seed: u64, loud: bool) -> Self {
        let mut rng = SplitMix64::new(seed ^ 0x636f_6e74_726f_6c00);
        let sim = Sim::new(rng.draw(), samples::settings("/simulated".as_ref()), loud);
        let mut key = [0; 32];
        key[..8].copy_from_slice(&rng.draw().to_be_bytes());
        Self {
            acknowledged: Acknowledged::new(&sim),
            sim,
            clock: FakeClock::at(Timestamp::from_secs(1_795_478_400)),
            places: (1..=4).filter_map(Slot::new).collect(),
            model: Model::default(),
            draw: Draw::new(rng),
            secrets: Secrets::default(),
            pace: Pace::new(),
            report: Report::default(),
            step: Arc::default(),
            root: tempfile::tempdir().unwrap(),
            sealer: Sealer::from_key(key),
            lines: 0,
            tries: BTreeMap::new(),
            loud,
        }
    }

    /// Plays it.
    ///
    /// # Errors
    /// What was, and must not be; or was not, and must.
    pub fn play(&mut self) -> Result<Report, String> {
        let lives = 1 + self.draw.rng().below(4);
        for life in 1..=lives {
            let last = life == lives;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .map_err(|e| e.to_string())?;
            let result = runtime.block_on(async {
                let time = self.pace.start();
                let result = self.live(last).await;
                self.sim.ends();
                time.abort();
                result
            });
            // Everything that was under way ends here, wherever it is.
            drop(runtime);
            self.acknowledged.nobody_waits();
            result?;
            self.all_closed()?;
            self.report.deaths += u64::from(!last);
        }
        self.report.revoked = self.acknowledged.count();
        self.nothing_in_the_clear()?;
        Ok(self.report)
    }

    fn database(&self) -> PathBuf {
        self.root.path().join("database.sqlite")
    }

    pub fn kept(&self) -> KeptSpec {
        let path = self.root.path().join("last_spec");
        KeptSpec::new(path, self.sealer.clone(), LOCAL_NODE)
    }

    /// Waits until nothing of the dead process has the database open: its
    /// threads end with it, ours end when they have done what they are at.
    fn all_closed(&self) -> Result<(), String> {
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
            if begun.elapsed() > CLOSES {
                return Err("the dead process's connections do not close".to_owned());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    async fn live(&mut self, last: bool) -> Result<(), String> {
        let (process, node) = self.begin(last).await?;
        let mut running = tokio::spawn(node.run(std::future::pending()));
        let background = process.control.clone();
        tokio::spawn(async move { background.run().await });
        let sim = self.sim.clone();
        let result = tokio::select! {
            biased;
            () = sim.died() => Ok(()),
            ended = &mut running => Err(format!("the node ended: {ended:?}")),
            result = self.story(&process, last) => result,
        };
        match sim.state().violation.take() {
            Some(what) => Err(what),
            None => result,
        }
    }

    async fn begin(&mut self, last: bool) -> Result<(Process, Node), String> {
        let url = DatabaseUrl::Sqlite(self.database());
        let slowly = self.pace.slowly();
        let open = || Store::open(&url, self.sealer.clone());
        let store = open().await.map_err(|e| e.to_string())?;
        let observer = open().await.map_err(|e| e.to_string())?;
        drop(slowly);
        // Whatever the last process was at, the copy is whole.
        self.kept().read().map_err(|e| format!("last_spec: {e}"))?;
        self.sim.begins(last);
        self.tries.clear();
        let from = KeepingSpecs::new(StoreSpecs::new(store.clone(), LOCAL_NODE), self.kept());
        let ports = NodePorts {
            specs: Arc::new(Specs::new(from, self.sim.clone())),
            ..self.sim.ports()
        };
        let (node, handle) = Node::new(ports, samples::settings("/simulated".as_ref()));
        let excluded = Slot::all().filter(|s| !self.places.contains(s)).collect();
        let control = Control::new(ControlParts {
            store: store.clone(),
            node: handle.clone(),
            clock: Arc::new(self.clock.clone()),
            entropy: chance::entropy(),
            settings: ControlSettings {
                addresses: AddressPlan::default(),
                public_host: "vpn.example.org".to_owned(),
                node: LOCAL_NODE,
                excluded_slots: excluded,
                sign_ups_per_hour: 0,
            },
            capacity: CapacitySettings::default(),
        });
        let process = Process {
            store,
            observer,
            control,
            node: handle,
        };
        Ok((process, node))
    }

    async fn story(&mut self, process: &Process, last: bool) -> Result<(), String> {
        // First what the last process left.
        self.settle(process).await?;
        let operator = process.control.ensure_operator();
        if let Ok(Some((_, password))) = chance::with(OPERATOR, &self.secrets, operator).await {
            self.secrets
                .lock()
                .unwrap()
                .push(password.expose().to_owned());
        }
        let steps = 3 + self.draw.rng().below(8);
        for _ in 0..steps {
            self.step(process, last).await?;
        }
        match last {
            true => self.finish(process).await,
            false => Ok(()),
        }
    }

    /// Reads what has come of a step, and looks whether it can be explained.
    pub async fn settle(&mut self, process: &Process) -> Result<(), String> {
        let seen = self.read(process).await?;
        if let Some(what) = seen.never(&self.places) {
            return Err(what);
        }
        self.acknowledged.nobody_waits();
        let step = std::mem::take(&mut *self.step.lock().unwrap());
        let rows = seen.rows.get(self.lines..).unwrap_or_default();
        let theirs = rows.iter().filter(|r| !r.is_first_operator());
        let rows: Vec<_> = theirs.cloned().collect();
        let rules = Rules {
            places: &self.places,
            now: self.clock.now(),
            tries: &self.tries,
            seen: &seen,
        };
        self.model = explain(&self.model, &step, &rows, &rules)?;
        self.lines = seen.rows.len();
        self.draw.remember(&self.model);
        self.secrets
            .lock()
            .unwrap()
            .extend(seen.hashes.iter().cloned());
        self.report.asked += step.len() as u64;
        let answered = |a: &&Asked| !matches!(a.answer, Answer::Nothing);
        self.report.answered += step.iter().filter(answered).count() as u64;
        match self.sim.state().violation.clone() {
            Some(what) => Err(what),
            None => Ok(()),
        }
    }

    /// Everything the database holds, once nothing is under way: whoever went
    /// away may have left a transaction that is still being ended.
    async fn read(&self, process: &Process) -> Result<Seen, String> {
        let _slowly = self.pace.slowly();
        for _ in 0..TRIES {
            if let Ok(_quiet) = process.store.hold().await {
                let seen = Seen::read(&process.observer).await;
                return seen.map_err(|e| format!("{e:?}"));
            }
            pause(1_000).await;
        }
        Err("nothing can be changed in the database any more".to_owned())
    }

    /// Tells a person.
    pub fn note(&self, text: impl FnOnce() -> String) {
        if self.loud {
            eprintln!("{:>10.3} {}", self.sim.state().now().as_secs_f64(), text());
        }
    }

    /// Counts the tries at passwords of a step.
    pub fn count_tries(&mut self, step: &[Asked]) {
        for asked in step {
            if let Wish::SignIn { name, .. } = &asked.wish {
                *self.tries.entry(name.clone()).or_default() += 1;
            }
        }
    }

    /// The clock of the wall jumps, if it does in this history.
    pub fn move_clock(&mut self) {
        let mut by = self.draw.rng().below(2_000) as i64;
        if self.sim.state().faults.has(Fault::ClockJumps) && self.draw.rng().percent(10) {
            let far = self.draw.rng().below(7_200_000) as i64;
            by = far - 3_600_000;
        }
        self.clock.advance(by);
        self.model.clock_moved(self.clock.now());
    }

    /// Nothing secret is in the database's files but sealed, nor in the copy of
    /// the last spec.
    fn nothing_in_the_clear(&self) -> Result<(), String> {
        let secrets = self.secrets.lock().unwrap();
        for file in fs::read_dir(self.root.path())
            .map_err(|e| e.to_string())?
            .flatten()
        {
            let bytes = fs::read(file.path()).map_err(|e| e.to_string())?;
            let text = String::from_utf8_lossy(&bytes);
            // A hash of a password is where it belongs.
            let secret = |s: &&String| !s.starts_with('$') && text.contains(s.as_str());
            if secrets.iter().any(|s| secret(&s)) {
                return Err(format!(
                    "a secret is in {:?} in the clear",
                    file.file_name()
                ));
            }
        }
        Ok(())
    }

    /// What the database and the model have otherwise.
    pub async fn differs(&self, process: &Process) -> Result<Option<String>, String> {
        Ok(difference(&self.model, &self.read(process).await?))
    }
}
