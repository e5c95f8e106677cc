//! Network namespaces, each owned by a thread of the test's process: they disappear
//! with it, even if it is killed.

use nix::sched::{CloneFlags, unshare};
use std::{
    io::Write,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace and the thread that owns it.
pub struct Namespace {
    jobs: mpsc::Sender<Job>,
    thread_id: i32,
}

impl Namespace {
    pub fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET)
                .expect("network namespaces need root: run the tests with sudo");
            sender.send(nix::unistd::gettid().as_raw()).unwrap();
            for job in queue {
                job();
            }
        });
        let thread_id = receiver.recv().expect("the namespace's thread starts");
        let ns = Self { jobs, thread_id };
        ns.ip("link set lo up");
        ns
    }

    /// Runs `work` in the namespace and waits for the result.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        let job = move || drop(sender.send(work()));
        self.jobs.send(Box::new(job)).unwrap();
        receiver.recv().expect("the work ends without a panic")
    }

    /// Runs `ip` with `args`, split at spaces.
    pub fn ip(&self, args: &str) {
        let words: Vec<String> = args.split(' ').map(str::to_owned).collect();
        self.command("ip", words, "");
    }

    /// Loads rules of nftables.
    pub fn nft(&self, rules: &str) {
        self.command("nft", vec!["-f".to_owned(), "-".to_owned()], rules);
    }

    fn command(&self, program: &'static str, args: Vec<String>, input: &str) {
        let input = input.to_owned();
        self.run(move || {
            let mut child = Command::new(program)
                .args(&args)
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(input.as_bytes())
                .unwrap();
            let output = child.wait_with_output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{program} {args:?}: {errors}");
        });
    }

    /// Writes a setting below `/proc/sys/net`.
    pub fn sysctl(&self, path: &'static str, value: &'static str) {
        self.run(move || std::fs::write(format!("/proc/sys/net/{path}"), value))
            .unwrap_or_else(|e| panic!("{path}: {e}"));
    }

    /// Connects `link` here to `eth0` in `other`, with an address there and a default
    /// route to here.
    pub fn connect(&self, link: &str, own: &str, other: &Namespace, address: &str) {
        let id = other.thread_id;
        self.ip(&format!(
            "link add {link} type veth peer name eth0 netns {id}"
        ));
        self.ip(&format!("addr add {own}/24 dev {link}"));
        self.ip(&format!("link set {link} up"));
        other.ip(&format!("addr add {address}/24 dev eth0"));
        other.ip("link set eth0 up");
        other.ip(&format!("route add default via {own}"));
    }
}
