//! A control plane on PostgreSQL with its own node, and workers that join it. Most tests
//! share one, which is started by the first of them.

use crate::{
    machine::{Machine, Worker, signal, text},
    postgres::PostgresServer,
    stack::{Device, ServerOptions, Stack, Tenant, wait_for},
};
use std::{
    fs,
    ops::{Deref, DerefMut},
    path::PathBuf,
    process::{Command, Output},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// The port on which workers are answered.
pub const NODES_PORT: u16 = 8443;

/// The node in the control plane's process.
pub const LOCAL: &str = "local";

/// The cluster that tests share. Its lock is the bed's: there is one host under test.
static BED: Mutex<Option<Cluster>> = Mutex::new(None);

/// Waits for exclusive use of the bed, and ends the shared cluster.
pub fn exclusive_bed() -> MutexGuard<'static, Option<Cluster>> {
    let mut bed = BED.lock().unwrap_or_else(PoisonError::into_inner);
    *bed = None;
    bed
}

/// Waits for the cluster that tests share: two workers and the control plane's node. Its
/// tenants stay, so each test names its own; tunnels of devices do not.
pub fn shared_cluster() -> SharedCluster {
    let mut bed = BED.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = bed.get_or_insert_with(|| {
        // The log of one that a test failed with stays as it is.
        static STARTED: AtomicU32 = AtomicU32::new(1);
        let n = STARTED.fetch_add(1, Ordering::Relaxed);
        Cluster::start(&format!("shared{n}"), 2)
    });
    for worker in &cluster.workers {
        worker.machine.forget_devices();
    }
    SharedCluster(bed)
}

/// The shared cluster, for one test at a time. One that a test failed with is not used by
/// the next.
pub struct SharedCluster(MutexGuard<'static, Option<Cluster>>);

impl Deref for SharedCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.0.as_ref().expect("it is started")
    }
}

impl DerefMut for SharedCluster {
    fn deref_mut(&mut self) -> &mut Cluster {
        self.0.as_mut().expect("it is started")
    }
}

impl Drop for SharedCluster {
    fn drop(&mut self) {
        if thread::panicking() {
            *self.0 = None;
        }
    }
}

pub struct Cluster {
    pub stack: Stack,
    pub workers: Vec<Worker>,
    // After what uses it.
    _postgres: PostgresServer,
    url: String,
}

impl Cluster {
    /// Starts a control plane with an empty database, and this many workers that have
    /// joined it and report.
    pub fn start(name: &str, workers: u8) -> Self {
        Self::start_with(name, workers, |url| {
            let mut options = ServerOptions::with_root(name);
            options.extra_args = vec![
                "--database-url".to_owned(),
                url.to_owned(),
                "--nodes-listen".to_owned(),
                format!("0.0.0.0:{NODES_PORT}"),
            ];
            let mut stack = Stack::launch(options);
            stack.wait_for_answer();
            stack
        })
    }

    /// Does what [`start`](Self::start) does, with the control plane that `launch` starts
    /// on the database with that URL.
    pub fn start_with(name: &str, workers: u8, launch: impl FnOnce(&str) -> Stack) -> Self {
        let numbers = 1..=workers;
        // Docker engines start while PostgreSQL and the control plane do.
        let machines = thread::spawn(move || start_machines(numbers.collect()));
        let postgres = start_postgres();
        let database = format!("nodes_{name}");
        psql(&postgres.url, &format!("CREATE DATABASE {database}"));
        let url = postgres
            .url
            .replacen("/postgres?", &format!("/{database}?"), 1);
        let mut cluster = Self {
            stack: launch(&url),
            workers: Vec::new(),
            _postgres: postgres,
            url,
        };
        for machine in machines.join().expect("the machines start") {
            cluster.join(machine);
        }
        cluster.wait_for_workers();
        cluster
    }

    /// Joins a machine and starts its worker.
    pub fn join(&mut self, machine: Machine) {
        let mut worker = Worker::new(machine);
        let token = self.token();
        let joined = worker.try_join(&token);
        assert!(joined.status.success(), "{}", text(&joined));
        worker.start();
        self.workers.push(worker);
    }

    /// Waits until every worker reports.
    pub fn wait_for_workers(&self) {
        let heard = "SELECT count(*) FROM nodes WHERE last_heard IS NOT NULL AND host IS NOT NULL";
        wait_for("the workers report", Duration::from_secs(30), || {
            let count = self.query(heard).trim().parse::<usize>();
            (count.expect("a number") >= self.workers.len()).then_some(())
        });
    }

    /// Runs `maliknode COMMAND` on the control plane's machine.
    pub fn command(&self, command: &[&str]) -> Output {
        let mut c = self.stack.options().command(command);
        c.output().expect("maliknode runs")
    }

    /// Returns a token for one worker.
    pub fn token(&self) -> String {
        let out = self.command(&["worker", "token"]);
        assert!(out.status.success(), "{}", text(&out));
        let text = String::from_utf8_lossy(&out.stdout);
        let mut words = text.split_whitespace();
        let token = words.find(|w| w.starts_with("mn1_"));
        token
            .unwrap_or_else(|| panic!("no token in {text}"))
            .to_owned()
    }

    /// Returns the nodes as `maliknode node list --json` prints them.
    pub fn list(&self) -> Vec<serde_json::Value> {
        let out = self.command(&["node", "list", "--json"]);
        assert!(out.status.success(), "{}", text(&out));
        serde_json::from_slice(&out.stdout).expect("a list in JSON")
    }

    /// Returns the events of a tenant, or all, as `maliknode events --json` prints them.
    pub fn events(&self, tenant: Option<&str>) -> Vec<serde_json::Value> {
        let mut command = vec!["events", "--json", "--limit", "1000"];
        command.extend(tenant.iter().flat_map(|name| ["--tenant", name]));
        let out = self.command(&command);
        assert!(out.status.success(), "{}", text(&out));
        serde_json::from_slice(&out.stdout).expect("events in JSON")
    }

    /// Lets only these nodes have new tenants.
    pub fn open_only(&self, names: &[&str]) {
        for node in self.list() {
            let name = node["name"].as_str().expect("a name");
            let (is_open, opens) = (node["standing"] == "open", names.contains(&name));
            if node["standing"] == "revoked" || is_open == opens {
                continue;
            }
            let verb = if opens { "open" } else { "close" };
            let out = self.command(&["node", verb, name]);
            assert!(out.status.success(), "{}", text(&out));
        }
    }

    /// Returns the database's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the result of a query, a line a row and `|` between columns.
    pub fn query(&self, sql: &str) -> String {
        psql(&self.url, sql)
    }

    /// Returns the name of the node that a tenant is on.
    pub fn node_of(&self, tenant: &Tenant) -> String {
        let name = &tenant.name;
        let sql = format!(
            "SELECT nodes.name FROM users JOIN nodes ON nodes.id = node_id WHERE username = '{name}'"
        );
        self.query(&sql).trim().to_owned()
    }

    /// Returns the id and the slot of a tenant.
    pub fn id_and_slot(&self, tenant: &str) -> (String, u16) {
        let sql = format!("SELECT id, slot FROM users WHERE username = '{tenant}'");
        let row = self.query(&sql);
        let (id, slot) = row.trim().split_once('|').expect("it has an account");
        (id.to_owned(), slot.parse().expect("a slot"))
    }

    /// Signs a tenant up who is placed on that node, and waits until it is ready. The node
    /// is the only one that is open afterwards.
    pub fn sign_up_on(&self, node: &str, name: &str) -> Tenant {
        let [tenant] = self.sign_up_all_on(node, [name]);
        tenant
    }

    /// Signs tenants up at the same time, like [`sign_up_on`](Self::sign_up_on).
    pub fn sign_up_all_on<const N: usize>(&self, node: &str, names: [&str; N]) -> [Tenant; N] {
        self.open_only(&[node]);
        let tenants = thread::scope(|s| {
            let one = |name| s.spawn(move || self.stack.sign_up(name));
            names
                .map(one)
                .map(|t| t.join().expect("the tenant is ready"))
        });
        for tenant in &tenants {
            assert_eq!(self.node_of(tenant), node, "{}", tenant.name);
        }
        tenants
    }

    /// Adds a device behind a worker, in the namespace of its client of that number from 0.
    pub fn add_device(
        &mut self,
        tenant: &mut Tenant,
        worker: usize,
        client: usize,
        label: &str,
        routing: &str,
    ) -> Device {
        let namespace = self.workers[worker].machine.clients()[client].clone();
        let stack = &mut self.stack;
        stack.add_device(tenant, &namespace, label, routing, true)
    }

    /// Sends a signal to every process of PostgreSQL.
    pub fn signal_database(&self, name: &str) {
        let (_, folder) = self.url.split_once("host=").expect("a socket's folder");
        let file = PathBuf::from(folder).join("data/postmaster.pid");
        let text = fs::read_to_string(file).expect("this test started PostgreSQL");
        let server = text.lines().next().expect("its process");
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        let children = children.expect("it runs");
        let all = std::iter::once(server).chain(children.split_whitespace());
        all.for_each(|pid| signal(name, pid));
    }
}

/// Starts PostgreSQL from a thread that never ends: the kernel ends it with the thread that
/// started it (`PR_SET_PDEATHSIG`), and the cluster outlives the test that needs it first.
fn start_postgres() -> PostgresServer {
    let (sender, started) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(PostgresServer::start());
        loop {
            thread::park();
        }
    });
    let started = started.recv().expect("the thread runs");
    started.expect("PostgreSQL starts")
}

/// Starts machines at the same time.
fn start_machines(numbers: Vec<u8>) -> Vec<Machine> {
    thread::scope(|s| {
        let start = |n: u8| s.spawn(move || Machine::start(&format!("w{n}"), 9 + n));
        let starting: Vec<_> = numbers.into_iter().map(start).collect();
        let machines = starting.into_iter();
        machines
            .map(|m| m.join().expect("the machine starts"))
            .collect()
    })
}

fn psql(url: &str, sql: &str) -> String {
    let out = Command::new("psql")
        .args(["-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
        .output()
        .expect("psql runs");
    assert!(out.status.success(), "{sql}: {}", text(&out));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
