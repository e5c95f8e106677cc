//! A control plane on PostgreSQL with its own node, and workers that join it.

use crate::{
    machine::{Machine, Worker, text},
    postgres::PostgresServer,
    stack::{ServerOptions, Stack, Tenant, wait_for},
};
use std::{
    process::{Command, Output},
    time::Duration,
};

/// The port on which workers are answered.
pub const NODES_PORT: u16 = 8443;

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
        let postgres = PostgresServer::start().expect("PostgreSQL starts");
        let database = format!("nodes_{name}");
        psql(&postgres.url, &format!("CREATE DATABASE {database}"));
        let url = postgres
            .url
            .replacen("/postgres?", &format!("/{database}?"), 1);
        let mut options = ServerOptions::with_root(name);
        options.extra_args = vec![
            "--database-url".to_owned(),
            url.clone(),
            "--nodes-listen".to_owned(),
            format!("0.0.0.0:{NODES_PORT}"),
        ];
        let mut stack = Stack::launch(options);
        stack.wait_for_answer();
        let mut cluster = Self {
            stack,
            workers: Vec::new(),
            _postgres: postgres,
            url,
        };
        for n in 1..=workers {
            cluster.add_worker(n);
        }
        cluster
    }

    /// Starts a machine and joins it.
    pub fn add_worker(&mut self, n: u8) {
        let mut worker = Worker::new(Machine::start(&format!("w{n}"), 9 + n));
        let token = self.token();
        let joined = worker.try_join(&token);
        assert!(joined.status.success(), "{}", text(&joined));
        worker.start();
        let name = worker.machine.name.clone();
        self.workers.push(worker);
        wait_for("the worker reports", Duration::from_secs(30), || {
            let nodes = self.list();
            let of = |n: &&serde_json::Value| n["name"] == name.as_str();
            let node = nodes.iter().find(of).cloned();
            node.filter(|n| !n["last_heard"].is_null())
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

    /// Returns the result of a query, a line a row.
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

    /// Signs tenants up until one is on that node, and returns it.
    pub fn sign_up_on(&self, node: &str, name: &str) -> Tenant {
        for n in 0..6 {
            let mut tenant = self.stack.register(&format!("{name}{n}"));
            if self.node_of(&tenant) == node {
                tenant.wait_until_ready();
                return tenant;
            }
        }
        panic!("no tenant was placed on {node}");
    }
}

fn psql(url: &str, sql: &str) -> String {
    let out = Command::new("psql")
        .args(["-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
        .output()
        .expect("psql runs");
    assert!(out.status.success(), "{sql}: {}", text(&out));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
