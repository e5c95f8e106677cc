//! A network namespace that is owned by a thread of the test process. It has no name, so
//! it disappears with the process, even if that is killed.

use nix::sched::{CloneFlags, unshare};
use std::{
    process::{Command, Output},
    sync::mpsc,
    thread::{self, JoinHandle},
};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace.
#[derive(Clone)]
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
        ns.tool("ip link set lo up");
        ns
    }

    /// Runs `work` in the namespace and waits for the result.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        self.jobs
            .send(Box::new(move || {
                let _ = sender.send(work());
            }))
            .unwrap();
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

    /// Runs a program that has to succeed, and returns what it printed.
    pub fn tool(&self, line: &str) -> String {
        let output = self.output(line).join().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Creates a veth from `link` in this namespace to `name` in `other`.
    pub fn connect(&self, link: &str, other: &Namespace, name: &str) {
        let id = other.thread_id;
        self.tool(&format!(
            "ip link add {link} type veth peer name {name} netns {id}"
        ));
        self.tool(&format!("ip link set {link} up"));
        other.tool(&format!("ip link set {name} up"));
    }
}
