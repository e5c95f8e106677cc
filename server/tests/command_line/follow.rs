//! `--follow`: changes come as they happen, by the socket and by HTTP, until Ctrl-C.

use crate::server::{Installation, Run};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

/// The longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(20);

/// A command that follows.
pub struct Following {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Following {
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line.
    pub fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => self.seen.push(line),
                Err(e) => {
                    let errors = self.errors();
                    panic!("{e}: {:?}: {errors:?}", self.seen)
                }
            }
        }
    }

    fn errors(&mut self) -> String {
        let _ = self.child.kill();
        let mut text = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        text
    }

    /// Waits for the end.
    pub fn end(mut self) -> Run {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it ends: {:?}", self.seen);
            thread::sleep(Duration::from_millis(20));
        };
        Run {
            code: status.code(),
            out: String::new(),
            err: self.errors(),
        }
    }

    /// Ends it as Ctrl-C does, which is no failure.
    pub fn interrupt(self) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
        let begun = Instant::now();
        let ended = self.end();
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

fn labels(line: &str) -> Vec<String> {
    let state: Value = serde_json::from_str(line).unwrap();
    let devices = state.as_array().unwrap().iter();
    devices
        .map(|d| d["label"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn devices_are_followed_by_the_socket_and_by_http() {
    let installation = Installation::new();
    let server = installation.serve();
    let run = |args: &[&str]| installation.run(args).output();
    run(&["tenant", "create", "lina", "--plan", "home"]);
    run(&["device", "add", "Phone", "--tenant", "lina", "--no-qr"]);
    let list = ["device", "list", "--follow", "--tenant", "lina"];
    let json = [&list[..], &["--json"]].concat();
    let mut by_socket = Following::start(installation.command(&json));
    let mut command = installation.command(&json);
    command.args(["--server", &server.address()]);
    command.env("MALIKNODE_TOKEN", server.token("operator", "admin"));
    let mut by_http = Following::start(command);
    let mut for_people = Following::start(installation.command(&list));
    let one = ["device", "show", "Phone", "--follow", "--tenant", "lina"];
    let mut one = Following::start(installation.command(&one));
    let status = ["status", "--follow", "--tenant", "lina"];
    let mut status = Following::start(installation.command(&status));

    for following in [&mut by_socket, &mut by_http] {
        following.wait_for(|line| labels(line) == ["Phone"]);
    }
    for_people.wait_for(|line| line.contains("Phone"));
    one.wait_for(|line| line.contains("Phone  offline  last heard"));
    status.wait_for(|line| line == "devices    1");
    run(&["device", "add", "Tablet", "--tenant", "lina", "--no-qr"]);
    for following in [&mut by_socket, &mut by_http] {
        following.wait_for(|line| labels(line) == ["Phone", "Tablet"]);
    }
    for_people.wait_for(|line| line.contains("Tablet"));
    status.wait_for(|line| line == "devices    2");
    run(&["device", "remove", "Phone", "--tenant", "lina"]);
    by_socket.wait_for(|line| labels(line) == ["Tablet"]);
    let removed = one.end();
    assert_eq!(removed.code, Some(3), "{removed:?}");
    for following in [by_socket, by_http, for_people] {
        following.interrupt();
    }

    run(&["tenant", "delete", "lina", "--yes"]);
    let gone = status.end();
    assert_eq!(gone.code, Some(3), "{gone:?}");
}

#[test]
fn logs_are_followed_and_each_entry_comes_once() {
    let installation = Installation::new();
    let server = installation.serve();
    let run = |args: &[&str]| installation.run(args).output();
    run(&["reserved", "add", "before"]);
    let mut audit = Following::start(installation.command(&["audit", "--follow"]));
    let follow = ["audit", "--follow", "--json", "--limit", "0"];
    let mut command = installation.command(&follow);
    command.args(["--server", &server.address()]);
    command.env("MALIKNODE_TOKEN", server.token("operator", "admin"));
    let mut new_ones = Following::start(command);
    let events = Following::start(installation.command(&["events", "--follow"]));
    audit.wait_for(|line| line.contains("before"));
    // What is made before the first page is read is none of the new ones.
    thread::sleep(Duration::from_secs(3));
    for name in ["first", "second", "third"] {
        run(&["reserved", "add", name]);
    }
    for name in ["first", "second", "third"] {
        let line = audit.wait_for(|line| line.contains("name.reserve"));
        assert!(line.contains(name), "{line}");
        let line = new_ones.wait_for(|_| true);
        let entry: Value = serde_json::from_str(&line).unwrap();
        assert!(
            entry["object"].as_str().unwrap().contains(name) || line.contains(name),
            "{line}"
        );
    }
    let store = run(&["tenant", "create", "lina", "--plan", "home"]);
    assert!(store.contains("lina"));
    events.lines.recv_timeout(Duration::from_millis(100)).ok();
    audit.interrupt();
    new_ones.interrupt();
    events.interrupt();
}

#[test]
fn following_ends_with_the_server_and_where_there_is_none() {
    let installation = Installation::new();
    let server = installation.serve();
    let run = |args: &[&str]| installation.run(args);
    run(&["tenant", "create", "lina", "--plan", "home"]).output();
    let list = ["device", "list", "--follow", "--tenant", "lina"];
    let mut following = Following::start(installation.command(&list));
    following.wait_for(|line| line == "There is no device.");
    drop(server);
    let ended = following.end();
    assert_eq!(ended.code, Some(5), "{ended:?}");

    for args in [
        &list[..],
        &["events", "--follow"],
        &["audit", "--follow"],
        &["status", "--follow", "--tenant", "lina"],
    ] {
        let refused = run(args).refusal(5);
        assert!(refused.contains("not running"), "{refused}");
    }
}

#[test]
fn a_follower_ends_when_nothing_reads_it_and_when_it_may_no_more() {
    let installation = Installation::new();
    let server = installation.serve();
    let run = |args: &[&str]| installation.run(args).output();
    run(&["tenant", "create", "lina", "--plan", "home"]);
    let list = ["device", "list", "--follow", "--tenant", "lina"];
    let mut closed = installation.command(&list);
    closed.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut closed = closed.spawn().unwrap();
    drop(closed.stdout.take());
    run(&["device", "add", "Phone", "--tenant", "lina", "--no-qr"]);
    let until = Instant::now() + PATIENCE;
    while closed.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "a closed pipe ends it");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(closed.wait().unwrap().code(), Some(0));

    let made = run(&["token", "create", "page", "--tenant", "lina", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let mut command = installation.command(&["device", "list", "--follow"]);
    command.args(["--server", &server.address()]);
    command.env("MALIKNODE_TOKEN", made["secret"].as_str().unwrap());
    let mut following = Following::start(command);
    following.wait_for(|line| line.contains("Phone"));
    let id = made["id"].as_str().unwrap();
    run(&["token", "revoke", id, "--tenant", "lina"]);
    let ended = following.end();
    assert_eq!(ended.code, Some(4), "{ended:?}");
}
