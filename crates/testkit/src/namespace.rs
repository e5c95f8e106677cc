//! Network namespaces for tests. Each is owned by a thread of the test's process. It has no
//! name, so it disappears with the process, even if that is killed.

use nix::sched::{CloneFlags, unshare};
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace. Clones are the same one.
#[derive(Clone)]
pub struct Namespace {
    jobs: mpsc::Sender<Job>,
    thread_id: i32,
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Namespace {
    /// Creates a namespace whose `lo` is up.
    ///
    /// # Panics
    /// The process is not root, or `ip` is missing.
    pub fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET)
                .expect("network namespaces need root: run the tests with sudo");
            let _ = sender.send(nix::unistd::gettid().as_raw());
            for job in queue {
                job();
            }
        });
        let thread_id = receiver.recv().expect("the namespace's thread starts");
        let ns = Self { jobs, thread_id };
        ns.ip("link set lo up");
        // Otherwise a link does not answer IPv6 neighbours for its first second or two.
        for path in ["dad_transmits", "accept_dad"] {
            let path = format!("ipv6/conf/default/{path}");
            if Path::new("/proc/sys/net").join(&path).exists() {
                ns.sysctl(&path, "0");
            }
        }
        ns
    }

    /// Runs `work` in the namespace and waits for the result.
    ///
    /// # Panics
    /// `work` panics.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        let job = move || drop(sender.send(work()));
        let sent = self.jobs.send(Box::new(job));
        sent.expect("the namespace's thread runs");
        receiver
            .recv()
            .expect("the work in the namespace ends without a panic")
    }

    /// Starts a thread in the namespace.
    pub fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        // A thread inherits the namespace of the thread that starts it.
        self.run(|| thread::spawn(work))
    }

    /// Runs a program with arguments, split at spaces, beside other work here.
    pub fn output(&self, line: &str) -> JoinHandle<Output> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        self.start(move || {
            Command::new(&words[0])
                .args(&words[1..])
                .output()
                .unwrap_or_else(|e| panic!("{}: {e}", words[0]))
        })
    }

    /// Runs a program that has to succeed, with arguments split at spaces, and returns
    /// what it printed.
    ///
    /// # Panics
    /// It fails.
    pub fn tool(&self, line: &str) -> String {
        let output = self.output(line).join();
        let output = output.unwrap_or_else(|e| std::panic::resume_unwind(e));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `program` with `args`, split at spaces, like [`Namespace::tool`].
    pub fn command(&self, program: &str, args: &str) -> String {
        self.tool(&format!("{program} {args}"))
    }

    /// Runs `ip` with `args`, split at spaces.
    pub fn ip(&self, args: &str) {
        self.command("ip", args);
    }

    /// Loads rules of nftables.
    ///
    /// # Panics
    /// `nft` refuses them.
    pub fn nft(&self, rules: &str) {
        let rules = rules.to_owned();
        self.run(move || {
            let mut nft = Command::new("nft");
            nft.args(["-f", "-"]);
            nft.stdin(Stdio::piped()).stderr(Stdio::piped());
            let mut child = nft.spawn().expect("nft is installed");
            if let Some(mut input) = child.stdin.take() {
                input.write_all(rules.as_bytes()).expect("it reads");
            }
            let output = child.wait_with_output().expect("it ends");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{errors}");
        });
    }

    /// Writes a setting below `/proc/sys/net`, which shows the caller's namespace.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn sysctl(&self, path: &str, value: &str) {
        let (file, value) = (format!("/proc/sys/net/{path}"), value.to_owned());
        self.run(move || fs::write(file, value))
            .unwrap_or_else(|e| panic!("{path}: {e}"));
    }

    /// Creates a veth from `link` in this namespace to `name` in `other`; both are up.
    pub fn connect(&self, link: &str, other: &Self, name: &str) {
        let id = other.thread_id;
        self.ip(&format!(
            "link add {link} type veth peer name {name} netns {id}"
        ));
        self.ip(&format!("link set {link} up"));
        other.ip(&format!("link set {name} up"));
    }
}
