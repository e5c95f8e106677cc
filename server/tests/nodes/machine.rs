//! Machines of the bed beside the host under test, and workers on them.

use crate::{
    netns,
    stack::{run_here, wait_for},
};
use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

/// A machine with a network, mounts and a Docker engine of its own
/// (`tools/bed/machine.sh`). It ends with the value.
pub struct Machine {
    pub name: String,
    number: u8,
    holder: Child,
    pid: String,
    docker: String,
}

impl Machine {
    /// Starts a machine. Its number is from 10 to 49, and of no other machine.
    pub fn start(name: &str, number: u8) -> Self {
        netns::require();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/bed/machine.sh");
        let mut holder = Command::new("bash")
            .arg(script)
            .args([name, &number.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("bash runs");
        let mut line = String::new();
        let out = holder.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let words: Vec<_> = line.split_whitespace().collect();
        let ["ready", pid, docker] = words[..] else {
            panic!("the machine {name} did not start: {line}");
        };
        Self {
            name: name.to_owned(),
            number,
            holder,
            pid: pid.to_owned(),
            docker: docker.to_owned(),
        }
    }

    /// Returns the control plane's address as it sees it.
    pub fn control_plane(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 1)
    }

    /// Returns the address to which devices connect.
    pub fn public_host(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number + 100, 1)
    }

    /// Returns the address that the internet sees of it.
    pub fn outside(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number + 50, 1)
    }

    /// Returns the namespaces of the clients behind it.
    pub fn clients(&self) -> [String; 3] {
        let name = &self.name;
        [
            format!("{name}-client"),
            format!("{name}-client2"),
            format!("{name}-client3"),
        ]
    }

    /// Returns the namespace of the first client behind it.
    pub fn client(&self) -> String {
        let [first, ..] = self.clients();
        first
    }

    /// Removes the tunnels that devices left in the clients' namespaces.
    pub fn forget_devices(&self) {
        self.clients().iter().for_each(|c| remove_tunnels(c));
    }

    /// Returns the folder of the machine's files.
    pub fn dir(&self) -> PathBuf {
        PathBuf::from(netns::var("MALIKNODE_BED_DIR")).join(&self.name)
    }

    /// Returns a command that runs on the machine.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut c = Command::new("nsenter");
        c.args(["--target", &self.pid, "--net", "--mount", "--"])
            .arg(program.as_ref())
            .env("DOCKER_HOST", &self.docker)
            .stdin(Stdio::null());
        c
    }

    /// Runs a program on the machine and returns what it printed.
    ///
    /// # Errors
    /// It fails.
    pub fn output(&self, program: &[&str]) -> Result<String, String> {
        let out = self.command(program[0]).args(&program[1..]).output();
        let out = out.expect("nsenter runs");
        match out.status.success() {
            true => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
            false => Err(format!("{}: {program:?}: {}", self.name, text(&out))),
        }
    }

    /// Runs a program on the machine.
    ///
    /// # Panics
    /// It fails.
    pub fn run(&self, program: &[&str]) -> String {
        self.output(program).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Returns the id of a tenant's container on the machine.
    pub fn container(&self, tenant: &str) -> Option<String> {
        let label = format!("label=maliknode.name=adguard_user_{tenant}");
        let found = self.output(&["docker", "ps", "-aq", "--filter", &label]);
        let found = found.ok()?;
        found.split_whitespace().next().map(str::to_owned)
    }

    /// Kills the machine's dockerd by SIGKILL and returns its command line. containerd
    /// and the containers keep running.
    pub fn kill_engine(&self) -> Vec<String> {
        let pid = fs::read_to_string(self.engine_dir().join("pid")).expect("dockerd runs");
        let pid = pid.trim();
        let raw = fs::read(format!("/proc/{pid}/cmdline")).expect("dockerd runs");
        let words = raw.split(|b| *b == 0).filter(|w| !w.is_empty());
        let words = words.map(|w| String::from_utf8_lossy(w).into_owned());
        let command: Vec<String> = words.collect();
        assert!(command[0].ends_with("dockerd"), "{command:?}");
        signal("KILL", pid);
        wait_for("dockerd has ended", Duration::from_secs(10), || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next().unwrap_or_default();
            (stat.is_empty() || state.starts_with('Z')).then_some(())
        });
        command
    }

    /// Starts dockerd again and waits until it answers.
    pub fn start_engine(&self, command: &[String]) {
        let log = OpenOptions::new()
            .append(true)
            .open(self.engine_dir().join("log"));
        let log = log.expect("its log");
        let _ = fs::remove_file(self.engine_dir().join("pid"));
        let mut c = self.command(&command[0]);
        c.args(&command[1..]);
        c.stdout(log.try_clone().expect("its log")).stderr(log);
        let mut child = c.process_group(0).spawn().expect("nsenter runs");
        wait_for("dockerd answers", Duration::from_secs(40), || {
            self.output(&["docker", "version"]).ok()
        });
        // Collects its exit status when it is killed, so that no zombie stays.
        thread::spawn(move || child.wait());
    }

    fn engine_dir(&self) -> PathBuf {
        self.dir().join("docker")
    }

    /// Cuts the network between the machine and the control plane, without a sign to
    /// either: packets are lost.
    pub fn cut(&self) {
        // By its own link, and by the way through the internet.
        let host = netns::var("MALIKNODE_BED_HOST");
        let (from, to) = (
            format!("add rule inet cut in ip saddr {host} drop"),
            format!("add rule inet cut out ip daddr {host} drop"),
        );
        for rule in [
            "add table inet cut",
            "add chain inet cut in { type filter hook input priority -300; }",
            "add chain inet cut out { type filter hook output priority -300; }",
            "add rule inet cut in iifname eth0 drop",
            "add rule inet cut out oifname eth0 drop",
            &from,
            &to,
        ] {
            self.run(&["nft", rule]);
        }
    }

    /// Restores it.
    pub fn heal(&self) {
        self.run(&["nft", "delete table inet cut"]);
    }
}

impl Drop for Machine {
    /// Ends everything on the machine, so that another test can start one of its name.
    fn drop(&mut self) {
        let clients = self.clients();
        for namespace in [&self.name].into_iter().chain(&clients) {
            let pids = Command::new("ip")
                .args(["netns", "pids", namespace])
                .output();
            let pids = pids.map(|o| o.stdout).unwrap_or_default();
            for pid in String::from_utf8_lossy(&pids).split_whitespace() {
                let _ = Command::new("kill").args(["-KILL", pid]).status();
            }
            let _ = Command::new("ip")
                .args(["netns", "delete", namespace])
                .status();
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        // The links end with the namespace, which the kernel removes some time after its
        // last process.
        let links = [
            (format!("{}-in", self.name), vec![]),
            (format!("{}-wan", self.name), vec!["-n", "wan"]),
        ];
        for (link, namespace) in &links {
            wait_for("the machine has ended", Duration::from_secs(10), || {
                let ip = |what: &[&str]| {
                    let mut c = Command::new("ip");
                    c.args(namespace).args(what).arg(link).output()
                };
                let _ = ip(&["link", "delete"]);
                let shown = ip(&["link", "show"]).expect("ip runs");
                (!shown.status.success()).then_some(())
            });
        }
        let _ = fs::remove_dir_all(self.dir());
    }
}

/// Sends a signal to a process, which may have ended already.
pub fn signal(name: &str, pid: &str) {
    let _ = Command::new("kill")
        .args(["-s", name, pid])
        .stderr(Stdio::null())
        .status();
}

/// Removes the tunnels of devices in a namespace.
fn remove_tunnels(namespace: &str) {
    let links = run_here(&["ip", "-n", namespace, "-o", "link"]);
    let names = links.lines().filter_map(|l| l.split(": ").nth(1));
    for name in names.filter(|n| n.starts_with("dev")) {
        run_here(&["ip", "-n", namespace, "link", "del", name]);
    }
}

/// A worker on a machine.
pub struct Worker {
    pub machine: Machine,
    /// Settings that the next start has besides the usual ones.
    pub extra_args: Vec<String>,
    child: Option<Child>,
}

/// Returns everything that a program has printed.
pub fn text(out: &Output) -> String {
    let (o, e) = (&out.stdout, &out.stderr);
    String::from_utf8_lossy(o).into_owned() + &String::from_utf8_lossy(e)
}

impl Worker {
    /// Returns a worker that has not joined.
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            extra_args: Vec::new(),
            child: None,
        }
    }

    /// Returns the root of its files.
    pub fn root(&self) -> PathBuf {
        self.machine.dir().join("root")
    }

    /// Returns `maliknode COMMAND` on its machine with the usual options.
    pub fn command(&self, command: &[&str]) -> Command {
        let internet = netns::var("MALIKNODE_BED_INTERNET");
        let mut c = self.machine.command(netns::var("MALIKNODE_BIN"));
        c.args(command)
            .args(["--dns-upstreams", &internet, "--dns-bootstrap", &internet])
            .args(["--dns-fallback", &internet, "--root"])
            .arg(self.root());
        c
    }

    /// Runs `maliknode worker join` with a token.
    pub fn try_join(&self, token: &str) -> Output {
        let to = format!(
            "https://{}:{}",
            self.machine.control_plane(),
            crate::cluster::NODES_PORT
        );
        let host = self.machine.public_host().to_string();
        let name = self.machine.name.clone();
        let join = [
            "worker", "join", token, "--to", &to, "--name", &name, "--host", &host,
        ];
        self.command(&join).output().expect("nsenter runs")
    }

    /// Starts `maliknode worker run`.
    pub fn start(&mut self) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file());
        let log = log.expect("a log");
        let mut c = self.command(&["worker", "run"]);
        c.args(&self.extra_args);
        c.stdout(log.try_clone().expect("a log")).stderr(log);
        self.child = Some(c.process_group(0).spawn().expect("nsenter runs"));
    }

    /// Kills the worker by SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the worker can be killed");
            child.wait().expect("the worker has ended");
        }
    }

    fn log_file(&self) -> PathBuf {
        self.machine.dir().join("worker.log")
    }

    /// Returns the worker's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let from = log.lines().count().saturating_sub(60);
            let end: Vec<&str> = log.lines().skip(from).collect();
            eprintln!(
                "the end of the log of {}:\n{}",
                self.machine.name,
                end.join("\n")
            );
        }
        self.kill();
    }
}
