//! The command line against a server that runs, by its socket and by HTTP, and against the
//! database without one: every command, who may, and what goes wrong on the way.
// A test that cannot continue panics.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod account;
mod admission;
mod document;
mod export;
mod failures;
mod follow;
mod operations;
#[path = "../web/second_factor.rs"]
mod second_factor;
mod server;
mod services;
mod successes;
mod table;

use clap::{Command, CommandFactory};
use server::{Installation, Run};
use table::{CALLS, HERE, Row, Way};

/// Returns the names of all commands without others below them.
fn leaves(command: &Command, name: &str, all: &mut Vec<String>) {
    let mut below = command.get_subcommands().peekable();
    if below.peek().is_none() {
        all.push(name.trim().to_owned());
    }
    for command in below {
        leaves(command, &format!("{name} {}", command.get_name()), all);
    }
}

#[test]
fn every_command_is_in_the_table() {
    let mut all = Vec::new();
    leaves(&::server::cli::Cli::command(), "", &mut all);
    let called = |name: &String| {
        let begins = |command: &str| {
            let rest = command.strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        CALLS.iter().any(|row| begins(row.command)) || HERE.iter().any(|(here, _)| here == name)
    };
    all.retain(|name| !called(name));
    assert!(
        all.is_empty(),
        "in no row of server/tests/command_line/table.rs: {all:?}"
    );
}

/// Returns what is wrong with how a row's command ended.
fn wrong(row: &Row, way: Way, ended: &Run) -> Option<&'static str> {
    let code = row.codes[way as usize];
    let said = format!("{}{}", ended.out, ended.err);
    let is_direct = ended.err.contains("this goes straight to the database");
    match ended.code == Some(code) {
        false => Some("another exit code"),
        true if !said.contains(row.says) => Some("it says something else"),
        true if code == 0 && is_direct != (way == Way::Database) => Some("it goes another way"),
        true if code != 0 && !ended.out.is_empty() => Some("it prints something"),
        true => None,
    }
}

/// Runs the whole table one way.
fn walk(way: Way, run: impl Fn(&[&str]) -> Run) {
    let failed = CALLS.iter().filter_map(|row| {
        let words: Vec<String> = row
            .command
            .split(' ')
            .map(|w| w.replace('_', " "))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ended = run(&words);
        let wrong = wrong(row, way, &ended)?;
        Some(format!("{}: {wrong}: {ended:?}", row.command))
    });
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{way:?}:\n{}", failed.join("\n"));
}

#[test]
fn every_command_by_the_socket() {
    let installation = Installation::new();
    let _server = installation.serve();
    walk(Way::Socket, |words| installation.run(words));
    let audit = installation.run(&["audit", "--json"]).json();
    let actors: Vec<_> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["actor"])
        .collect();
    assert!(actors.contains(&&"operator:cli".into()), "{actors:?}");
}

#[test]
fn every_command_by_http() {
    let installation = Installation::new();
    let server = installation.serve();
    let (address, token) = (server.address(), server.token("operator", "admin"));
    let elsewhere = tempfile::tempdir().unwrap();
    walk(Way::Http, |words| {
        // No root, so nothing of this machine is used.
        let mut command = installation.command(words);
        command.args(["--server", &address]);
        command.env("MALIKNODE_TOKEN", &token);
        command.current_dir(elsewhere.path());
        command.output().unwrap().into()
    });
    let audit = installation.run(&["audit", "--json"]).json();
    let actors: Vec<_> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["actor"])
        .collect();
    assert!(actors.contains(&&"operator:admin".into()), "{actors:?}");
}

#[test]
fn every_command_on_the_database() {
    let installation = Installation::new();
    drop(installation.serve());
    walk(Way::Database, |words| installation.run(words));
}

#[test]
fn output_for_programs_is_the_apis_json() {
    let installation = Installation::new();
    let _server = installation.serve();
    let run = |args: &[&str]| installation.run(args);
    let created = run(&["tenant", "create", "lina", "--plan", "home", "--json"]).json();
    assert_eq!(created["name"], "lina");
    assert!(created["password"].is_string(), "{created}");
    let tenants = run(&["--json", "tenant", "list"]);
    assert_eq!(tenants.code, Some(2), "the option belongs to its command");
    let tenants = run(&["tenant", "--json", "list"]).json();
    assert_eq!(tenants[0]["name"], "lina");
    for label in ["Phone", "Tablet"] {
        let device = run(&["device", "add", label, "--tenant", "lina", "--json"]).json();
        assert_eq!(device["label"], label);
    }
    let devices = run(&["device", "list", "--tenant", "lina", "--json"]).json();
    assert_eq!(devices.as_array().unwrap().len(), 2);
    assert_eq!(devices[1]["address"], "10.88.1.3");
    let token = run(&["token", "create", "x", "--tenant", "lina", "--json"]).json();
    assert_eq!(token["access"], "read");
    for args in [
        &["status", "--json"][..],
        &["plan", "list", "--json"],
        &["node", "list", "--json"],
        &["node", "moves", "--json"],
        &["events", "--json"],
        &["audit", "--json"],
        &["traffic", "--tenant", "lina", "--json"],
        &["device", "show", "Phone", "--tenant", "lina", "--json"],
    ] {
        run(args).json();
    }
    let file = installation.folder.path().join("wg0.conf");
    let path = file.to_str().unwrap();
    let config = [
        "device", "config", "Phone", "--tenant", "lina", "--out", path,
    ];
    assert!(run(&config).output().contains(path));
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("[Interface]")
    );
    assert!(run(&config).refusal(2).contains("--force"));
}
