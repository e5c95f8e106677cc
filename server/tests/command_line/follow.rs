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

    /// Ends it as Ctrl-C does.
    pub fn interrupted(self) -> Run {
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
        self.end()
    }

    /// Ends it as Ctrl-C does, which is no failure.
    pub fn interrupt(self) {
        let begun = Instant::now();
        let ended = self.interrupted();
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

/// Returns a command that asks the server by HTTP.
fn by_http(installation: &Installation, args: &[&str], address: &str, token: &str) -> Command {
    let mut command = installation.command(args);
    command.args(["--server", address]);
    command.env("MALIKNODE_TOKEN", token);
    command
}

/// Waits for the next names that are reserved, as many as are expected, and nothing between them.
fn reserved(following: &mut Following, expected: &[&str]) {
    for name in expected {
        let line = following.wait_for(|line| line.contains("name.reserve"));
        assert!(line.contains(name), "{name} is next, not {line}");
    }
}

#[test]
fn each_entry_of_the_audit_log_comes_once() {
    let installation = Installation::new();
    let server = installation.serve();
    let run = |args: &[&str]| installation.run(args).output();
    run(&["tenant", "create", "lina", "--plan", "home"]);
    run(&["reserved", "add", "before"]);
    let follow = ["audit", "--follow", "--limit", "1"];
    let json = [&follow[..], &["--json"]].concat();
    let token = server.token("operator", "admin");
    run(&["reserved", "add", "last"]);
    let mut for_people = Following::start(installation.command(&follow));
    let mut over_http = by_http(&installation, &json, &server.address(), &token);
    over_http.args(["--action", "name.reserve"]);
    let mut over_http = Following::start(over_http);
    let about = ["audit", "--follow", "--tenant", "lina", "--limit", "1"];
    let mut about = Following::start(installation.command(&about));
    for following in [&mut for_people, &mut over_http] {
        reserved(following, &["last"]);
    }
    about.wait_for(|line| line.contains("tenant.create"));
    for name in ["first", "second", "third"] {
        run(&["reserved", "add", name]);
    }
    for following in [&mut for_people, &mut over_http] {
        reserved(following, &["first", "second", "third"]);
        assert_eq!(following.seen, [""; 0], "nothing else");
    }
    run(&["device", "add", "Phone", "--tenant", "lina", "--no-qr"]);
    about.wait_for(|line| line.contains("device.add"));
    assert_eq!(about.seen, [""; 0], "what is about lina alone");
    for following in [for_people, over_http, about] {
        following.interrupt();
    }
}

#[test]
fn a_log_that_is_followed_says_that_it_begins_with_fewer_entries() {
    let installation = Installation::new();
    let _server = installation.serve();
    installation.run(&["reserved", "add", "before"]).output();
    for (limit, is_said) in [("1000", false), ("1001", true)] {
        let follow = ["audit", "--follow", "--limit", limit];
        let mut following = Following::start(installation.command(&follow));
        reserved(&mut following, &["before"]);
        let ended = following.interrupted();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let is_told = ended.err.contains("at most the 1000 newest entries");
        assert_eq!(is_told, is_said, "{limit}: {ended:?}");
    }
}

#[test]
fn a_tenant_follows_what_is_its_own() {
    let installation = Installation::new();
    let server = installation.serve();
    let run = |args: &[&str]| installation.run(args).output();
    let mut tokens = Vec::new();
    for name in ["lina", "nadia"] {
        run(&["tenant", "create", name, "--plan", "home"]);
        let made = run(&["token", "create", "x", "--tenant", name]);
        tokens.push(made.trim().to_owned());
    }
    let own = |args: &[&str], token: &str| {
        let mut command = installation.command(args);
        command.env("MALIKNODE_TOKEN", token);
        Following::start(command)
    };
    let audit = ["audit", "--own", "--follow", "--limit", "1"];
    let (mut linas, mut nadias) = (own(&audit, &tokens[0]), own(&audit, &tokens[1]));
    for following in [&mut linas, &mut nadias] {
        following.wait_for(|line| line.contains("token.create"));
    }
    // An operator reads the same with --tenant.
    let acting = [&audit[..], &["--tenant", "lina"]].concat();
    let mut acting = Following::start(installation.command(&acting));
    acting.wait_for(|line| line.contains("token.create"));

    server.record_event("lina", "drift.interface_gone");
    let events = ["events", "--own", "--follow"];
    let mut linas_events = own(&events, &tokens[0]);
    linas_events.wait_for(|line| line.contains("drift.interface_gone"));
    let mut all_events = Following::start(installation.command(&["events", "--follow"]));
    all_events.wait_for(|line| line.contains("drift.interface_gone"));
    server.record_event("nadia", "drift.key_changed");
    server.record_event("lina", "drift.peers_changed");
    all_events.wait_for(|line| line.contains("drift.key_changed"));
    for following in [&mut all_events, &mut linas_events] {
        following.wait_for(|line| line.contains("drift.peers_changed"));
        assert_eq!(following.seen, [""; 0], "each once, and none of another");
    }

    for (name, label) in [("nadia", "Secret"), ("lina", "Phone")] {
        run(&["device", "add", label, "--tenant", name, "--no-qr"]);
    }
    for following in [&mut linas, &mut acting] {
        following.wait_for(|line| line.contains("device.add"));
        assert_eq!(following.seen, [""; 0], "nothing of nadia");
    }
    nadias.wait_for(|line| line.contains("Secret"));
    for following in [linas, nadias, acting, linas_events, all_events] {
        following.interrupt();
    }
}

#[test]
fn a_log_is_followed_across_a_restart() {
    let installation = Installation::new();
    let server = installation.serve();
    let port = server.port;
    let run = |args: &[&str]| installation.run(args).output();
    run(&["reserved", "add", "before"]);
    let follow = [
        "audit",
        "--follow",
        "--limit",
        "1",
        "--action",
        "name.reserve",
    ];
    let token = server.token("operator", "admin");
    let by_http = by_http(&installation, &follow, &server.address(), &token);
    let mut followers = [
        Following::start(installation.command(&follow)),
        Following::start(by_http),
    ];
    for following in &mut followers {
        reserved(following, &["before"]);
    }
    run(&["reserved", "add", "during"]);
    for following in &mut followers {
        reserved(following, &["during"]);
    }
    drop(server);
    // Straight to the database.
    for name in ["meanwhile", "later"] {
        run(&["reserved", "add", name]);
    }
    let _server = installation.serve_at(port);
    run(&["reserved", "add", "after"]);
    for mut following in followers {
        reserved(&mut following, &["meanwhile", "later", "after"]);
        assert_eq!(following.seen, [""; 0], "nothing twice");
        let ended = following.interrupted();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains("goes on once it answers"), "{ended:?}");
    }
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
