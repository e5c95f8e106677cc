//! Moves that are killed, and two at once.

use crate::{
    CONFIG,
    installation::{Installation, Run, psql},
    postgres::PostgresServer,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Adds entries to the audit log beside the server, many of them.
fn add_entries(ours: &Installation<'_>, entries: u32) {
    const ADD: &str = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.executemany('INSERT INTO audit_log (at, actor, action, object, detail) VALUES (?, ?, ?, ?, ?)',
              ((n, 'operator', 'plan.change', 'home', 'Zoë’s 电话 %d' % n) for n in range(int(sys.argv[2]))))
c.commit()";
    let added = Command::new("python3")
        .args(["-c", ADD])
        .arg(ours.sqlite())
        .arg(entries.to_string())
        .status();
    assert!(added.unwrap().success());
}

#[test]
fn a_killed_move_leaves_everything_or_nothing() {
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let ours = Installation::new(&server, Some(CONFIG));
    add_entries(&ours, 60_000);
    // At the first line, in the middle of the rows, and while they are compared.
    for (line, delay) in [
        ("Moving", 0),
        ("Copying", 20),
        ("  users", 60),
        ("Comparing", 40),
    ] {
        let mut child = ours
            .command(&["database", "move", "--to", &ours.url()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seen = lines.any(|l| l.unwrap().starts_with(line));
        assert!(seen, "{line}");
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        drop(lines);
        if ours.moved().is_empty() {
            let config = fs::read_to_string(ours.central().join("config.toml")).unwrap();
            assert!(
                config == CONFIG || config.starts_with("database_url"),
                "{config}"
            );
        }
        let found = ours.tenants();
        assert!(
            ["", "0", "3"].contains(&found.as_str()),
            "{line}: {found} tenants"
        );
        assert!(
            ours.sqlite().exists(),
            "{line}: not committed yet, or not finished"
        );
    }
    let done = ours.move_with(&[]).output();
    assert!(done.contains("sealed values open."), "{done}");
    assert_eq!(ours.tenants(), "3");
    assert_eq!(
        ours.query("SELECT COUNT(*) > 60000 FROM audit_log").trim(),
        "t"
    );
}

#[test]
fn a_move_can_be_killed_at_any_moment() {
    const ROUNDS: u32 = 12;
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let ours = Installation::new(&server, Some(CONFIG));
    add_entries(&ours, 15_000);
    let list = ours.run(&["tenant", "list"]).output();
    let config = || fs::read_to_string(ours.central().join("config.toml")).unwrap();
    let begun = Instant::now();
    ours.move_with(&[]).output();
    let took = begun.elapsed();
    let (mut nothing, mut everything) = (0, 0);
    for round in 0..ROUNDS {
        if let [moved] = &ours.moved()[..] {
            fs::rename(ours.central().join(moved), ours.sqlite()).unwrap();
        }
        fs::write(ours.central().join("config.toml"), CONFIG).unwrap();
        let database = &ours.database;
        psql(
            &server.url,
            &format!("DROP DATABASE {database} WITH (FORCE)"),
        );
        psql(&server.url, &format!("CREATE DATABASE {database}"));

        let mut child = ours
            .command(&["database", "move", "--to", &ours.url()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(took.mul_f64((f64::from(round) + 0.5) / f64::from(ROUNDS)));
        child.kill().unwrap();
        child.wait().unwrap();
        let is_configured = config() != CONFIG;
        let is_moved = !ours.moved().is_empty();
        assert_ne!(ours.sqlite().exists(), is_moved, "round {round}");
        assert!(
            is_configured || !is_moved,
            "round {round}: no server would start"
        );
        match ours.tenants().as_str() {
            "" | "0" => nothing += 1,
            "3" => everything += 1,
            other => panic!("round {round}: {other} tenants"),
        }
        // Whichever database the configuration names has everything.
        assert_eq!(
            ours.run(&["tenant", "list"]).output(),
            list,
            "round {round}"
        );
        if !is_configured {
            ours.move_with(&[]).output();
            assert_eq!(
                ours.run(&["tenant", "list"]).output(),
                list,
                "round {round}"
            );
        }
    }
    assert!(nothing > 0, "{everything} of {ROUNDS} moves were complete");
}

#[test]
fn of_two_moves_at_once_one_is_refused() {
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let ours = Installation::new(&server, Some(CONFIG));
    add_entries(&ours, 60_000);
    let begin = || {
        let mut command = ours.command(&["database", "move", "--to", &ours.url()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let (first, second) = (begin(), begin());
    let ends = [first, second].map(|c| Run::from(c.wait_with_output().unwrap()));
    let [done, refused] = match ends[0].code {
        Some(0) => ends,
        _ => {
            let [refused, done] = ends;
            [done, refused]
        }
    };
    done.output();
    let refused = refused.refusal();
    assert!(
        refused.contains("another move does") || refused.contains("already"),
        "{refused}"
    );
    assert_eq!((ours.tenants(), ours.moved().len()), ("3".to_owned(), 1));
}
