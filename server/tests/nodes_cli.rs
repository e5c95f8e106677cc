//! `maliknode node …` and `maliknode worker token`: what they print, what they change in
//! the database, and their exit codes. No test here changes the machine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../crates/store/tests/contract/postgres.rs"]
mod postgres;

use domain::{Clock, NodeHost, NodeName, Secret, SystemClock};
use pki::JoinToken;
use postgres::PostgresServer;
use seal::Sealer;
use serde_json::{Value, json};
use std::{path::Path, process::Command};
use store::{CertificateRecord, DatabaseUrl, JoiningNode, Store, StoreError};

const ADDRESS: &str = "https://203.0.113.7:8443";

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    /// The output of a command that succeeded.
    fn output(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// The error output of a command that failed with this exit code.
    fn refusal(self, code: i32) -> String {
        assert_eq!(
            (self.code, self.out.as_str()),
            (Some(code), ""),
            "{}",
            self.err
        );
        self.err
    }
}

/// An installation that no server runs.
struct Installation<'a> {
    root: &'a Path,
    database: Option<String>,
}

impl Installation<'_> {
    fn run(&self, line: &str) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maliknode"));
        command.env_clear().args(line.split_whitespace());
        command.arg("--root").arg(self.root);
        if let Some(url) = &self.database {
            command.args(["--database-url", url]);
        }
        let output = command.output().unwrap();
        Run {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn nodes(&self) -> Vec<Value> {
        serde_json::from_str(&self.run("node list --json").output()).unwrap()
    }
}

#[test]
fn the_own_node_is_opened_and_closed_only() {
    let root = tempfile::tempdir().unwrap();
    let ours = Installation {
        root: root.path(),
        database: None,
    };
    let list = ours.run("node list").output();
    let lines: Vec<&str> = list.lines().collect();
    assert!(
        lines[0].starts_with("NAME   STANDING  TENANTS  HOST"),
        "{list}"
    );
    assert!(lines[1].starts_with("local  open            0  "), "{list}");
    assert_eq!(lines.len(), 2, "no problems: {list}");

    let closed = ours.run("node close LOCAL").output();
    assert!(closed.starts_with("local gets no new tenants."), "{closed}");
    let [node] = &ours.nodes()[..] else {
        panic!("one node");
    };
    assert_eq!(node["name"], "local");
    assert_eq!(node["local"], true);
    assert_eq!(node["standing"], "closed");
    assert_eq!(node["tenants"], 0);
    assert_eq!(node["last_heard"], Value::Null);
    assert_eq!(node["problems"], json!([]));
    assert_eq!(
        ours.run("node open local").output(),
        "local gets new tenants.\n"
    );
    assert_eq!(ours.nodes()[0]["standing"], "open");

    for refused in ["node revoke local", "node remove local"] {
        let error = ours.run(refused).refusal(1);
        assert!(error.contains("control plane's own node"), "{error}");
    }
    let unknown = ours.run("node close worker-9").refusal(3);
    assert!(unknown.contains("No node is called worker-9"), "{unknown}");
    for wrong in [
        "node",
        "node close",
        "node list --jsn",
        "worker token --fr x",
    ] {
        assert_eq!(ours.run(wrong).code, Some(2), "{wrong}");
    }
    let help = ours.run("node --help").output();
    for command in ["list", "open", "close", "revoke", "remove"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}

#[test]
fn sqlite_refuses_workers_and_names_postgresql() {
    let root = tempfile::tempdir().unwrap();
    let ours = Installation {
        root: root.path(),
        database: None,
    };
    for command in [
        "worker token",
        "worker token --nodes-address https://203.0.113.7:8443",
    ] {
        let error = ours.run(command).refusal(1);
        assert!(error.contains("Workers need PostgreSQL"), "{error}");
    }
}

#[test]
fn workers_are_managed_at_the_command_line() {
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let name = format!("nodes_cli_{}", std::process::id());
    let created = Command::new("psql")
        .args([
            "-qAt",
            "-c",
            &format!("CREATE DATABASE {name}"),
            &server.url,
        ])
        .status();
    assert!(created.unwrap().success());
    let url = server.url.replacen("/postgres?", &format!("/{name}?"), 1);
    let root = tempfile::tempdir().unwrap();
    let ours = Installation {
        root: root.path(),
        database: Some(url.clone()),
    };
    let error = ours.run("worker token").refusal(1);
    assert!(error.contains("no address"), "{error}");

    let first = token(&ours, "");
    let second = token(&ours, "");
    assert_eq!(first.authority, second.authority, "one installation");
    assert_ne!(first.id, second.id);
    for (node, code, reason) in [
        ("worker-1", 3, "No node is called"),
        ("local", 1, "own node"),
    ] {
        let line = format!("worker token --for {node} --nodes-address {ADDRESS}");
        let error = ours.run(&line).refusal(code);
        assert!(error.contains(reason), "{error}");
    }

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(join(root.path(), &url, &first));
    let list = ours.run("node list").output();
    let line = |start: &str| list.lines().find(|l| l.starts_with(start)).unwrap();
    let row: Vec<&str> = line("worker-1 ").split_whitespace().collect();
    assert_eq!(
        row,
        [
            "worker-1",
            "open",
            "0",
            "203.0.113.8",
            "0.9.0",
            "never",
            "29",
            "days"
        ]
    );
    assert!(line("worker-1: ").contains("not heard of since"), "{list}");
    let node = &ours.nodes()[1];
    assert_eq!(
        (&node["name"], &node["local"]),
        (&json!("worker-1"), &json!(false))
    );
    assert_eq!(node["problems"][0]["code"], "node_unreachable");
    assert!(node["certificate_expires"].as_str().unwrap().ends_with('Z'));

    let revoked = ours.run("node revoke worker-1").output();
    assert!(revoked.starts_with("worker-1 is revoked"), "{revoked}");
    let error = ours.run("node open worker-1").refusal(1);
    assert!(error.contains("revoked"), "{error}");
    let again = token(&ours, "--for worker-1");
    runtime.block_on(join(root.path(), &url, &again));
    assert_eq!(ours.nodes()[1]["standing"], "open", "it has joined again");
    assert_eq!(ours.nodes()[1]["id"], 2, "as the same node");

    let removed = ours.run("node remove worker-1").output();
    assert!(removed.starts_with("worker-1 is removed."), "{removed}");
    assert_eq!(ours.nodes().len(), 1);
}

/// Runs `worker token`, whose output is nothing but the command for the other machine.
fn token(ours: &Installation<'_>, options: &str) -> JoinToken {
    let run = ours.run(&format!("worker token {options} --nodes-address {ADDRESS}"));
    assert!(
        run.err.contains(" UTC") && run.err.contains(ADDRESS),
        "{}",
        run.err
    );
    let out = run.output();
    let words: Vec<&str> = out.split_whitespace().collect();
    let ["maliknode", "worker", "join", token, "--to", ADDRESS] = words[..] else {
        panic!("{out}");
    };
    assert_eq!(out.lines().count(), 1);
    token.parse().unwrap()
}

/// Makes worker-1 a node, as the link does.
async fn join(root: &Path, url: &str, token: &JoinToken) {
    let sealer = Sealer::from_key_file(&root.join("central_api/seal.key")).unwrap();
    let url = DatabaseUrl::parse(url).unwrap();
    let store = Store::open(&url, sealer).await.unwrap();
    let now = SystemClock.now();
    let joining = JoiningNode {
        token: token.id.clone(),
        secret: Secret::new(token.secret.expose()),
        name: NodeName::parse("worker-1").unwrap(),
        host: NodeHost::parse("203.0.113.8").unwrap(),
        version: "0.9.0".to_owned(),
        now,
    };
    let issue = |_| {
        let certificate = CertificateRecord {
            serial: token.id.clone(),
            public_key: "key".to_owned(),
            expires: now.plus_millis(30 * 86_400_000),
        };
        Ok::<_, StoreError>((certificate, ()))
    };
    store.join_node(joining, issue).await.unwrap();
    store.close().await;
}
