//! Machines of the bed beside the host under test, and workers on them.

use crate::{netns, stack::wait_for};
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

    /// Returns the namespace of the client behind it.
    pub fn client(&self) -> String {
        format!("{}-client", self.name)
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

    /// Runs a program on the machine.
    ///
    /// # Panics
    /// It fails.
    pub fn run(&self, program: &[&str]) -> String {
        let out = self.command(program[0]).args(&program[1..]).output();
        let out = out.expect("nsenter runs");
        assert!(out.status.success(), "{program:?}: {}", text(&out));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Cuts the network between the machine and the control plane, without a sign to
    /// either: packets are lost.
    pub fn cut(&self) {
        for rule in [
            "add table inet cut",
            "add chain inet cut in { type filter hook input priority -300; }",
            "add chain inet cut out { type filter hook output priority -300; }",
            "add rule inet cut in iifname eth0 drop",
            "add rule inet cut out oifname eth0 drop",
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
        for namespace in [&self.name, &self.client()] {
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
        let link = format!("{}-in", self.name);
        wait_for("the machine has ended", Duration::from_secs(10), || {
            // The link ends with the namespace, and that with its last process.
            let _ = Command::new("ip").args(["link", "delete", &link]).output();
            (!Path::new("/sys/class/net").join(&link).exists()).then_some(())
        });
        let _ = fs::remove_dir_all(self.dir());
    }
}

/// A worker on a machine.
pub struct Worker {
    pub machine: Machine,
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
