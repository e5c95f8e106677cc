//! `maliknode database move`: the real binary moves a SQLite database to a real
//! PostgreSQL, is refused, is killed on the way. No test here changes the machine; the
//! packet tests show that tunnels stay up.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod installation;
mod killed;
#[path = "../../../crates/store/tests/contract/postgres.rs"]
mod postgres;

use installation::{Installation, Run};
use postgres::PostgresServer;
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
};

const CONFIG: &str =
    "# our installation\nlisten = \"127.0.0.1:1\"  # behind nginx\n\n[dns]\nmemory_mb = 300\n";

#[test]
fn everything_is_moved_and_the_way_back_works() {
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let ours = Installation::new(&server, Some(CONFIG));
    let link = ours.run(&["operator", "link"]).output();
    assert!(link.contains("/welcome?token="), "{link}");
    let before = ours.run(&["tenant", "list"]).output();
    assert_eq!(before.lines().count(), 4, "{before}");
    let deleted = ours.run(&["tenant", "delete", "gone", "--yes"]);
    assert_eq!(deleted.code, Some(0), "{}", deleted.err);
    let before = ours.run(&["tenant", "list"]).output();

    let (files, sqlite) = (ours.files(), fs::read(ours.sqlite()).unwrap());
    let check = ours.move_with(&["--dry-run"]).output();
    assert!(check.contains("it is empty and can be used."), "{check}");
    assert!(check.contains("with 5 sealed values"), "{check}");
    assert!(check.ends_with("Nothing was changed.\n"), "{check}");
    assert_eq!(ours.tenants(), "", "no table was made");
    assert_eq!(
        (ours.files(), fs::read(ours.sqlite()).unwrap()),
        (files, sqlite)
    );

    let done = ours.move_with(&[]).output();
    for line in [
        "the same on both sides; 5 sealed values open.",
        "config.toml: database_url is the new address.",
        "It can be read by other users (mode 640)",
        "Then start the server: systemctl start maliknode",
        "To go back",
    ] {
        assert!(done.contains(line), "{line}: {done}");
    }
    assert_eq!(ours.tenants(), "2");
    let config = fs::read_to_string(ours.central().join("config.toml")).unwrap();
    let expected = format!("database_url = \"{}\"\n{CONFIG}", ours.url());
    assert_eq!(config, expected);
    let mode = |name: &str| {
        let metadata = fs::metadata(ours.central().join(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!(mode("config.toml"), 0o640);
    let [moved] = &ours.moved()[..] else {
        panic!("{:?}", ours.files());
    };
    assert!(!ours.sqlite().exists());
    assert_eq!(mode(moved), 0o600);

    // The same from PostgreSQL, by the configuration file alone.
    let shown = ours.run(&["config"]).output();
    assert!(
        shown.contains("database_url = \"postgres://[redacted]\""),
        "{shown}"
    );
    assert_eq!(ours.run(&["tenant", "list"]).output(), before);
    let again = ours.move_with(&[]).refusal();
    assert!(again.contains("a PostgreSQL database already"), "{again}");

    // Back, as it was printed.
    fs::rename(ours.central().join(moved), ours.sqlite()).unwrap();
    fs::write(ours.central().join("config.toml"), CONFIG).unwrap();
    assert_eq!(ours.run(&["tenant", "list"]).output(), before);
    // PostgreSQL is complete, which another move finds out.
    let again = ours.move_with(&[]).output();
    assert!(
        again.contains("already, from an earlier move; 5 sealed"),
        "{again}"
    );
    assert_eq!(ours.run(&["tenant", "list"]).output(), before);
}

#[test]
fn without_the_configuration_no_server_starts_empty() {
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let ours = Installation::new(&server, None);
    // A variable overrides the file, so writing the file would change nothing.
    let overridden = ours
        .command(&["database", "move", "--to", &ours.url()])
        .env("MALIKNODE_DATABASE_URL", ours.sqlite())
        .output();
    let refused = Run::from(overridden.unwrap()).refusal();
    assert!(refused.contains("say --no-config"), "{refused}");

    let mut command = ours.command(&["database", "move", "--no-config"]);
    let done = command.env("MALIKNODE_MOVE_TO", ours.url()).output();
    let done = Run::from(done.unwrap()).output();
    assert!(done.contains("database_url = \"postgres://…\""), "{done}");
    assert!(!ours.central().join("config.toml").exists());
    assert_eq!(ours.moved().len(), 1);

    // The old setting would begin an empty database, and the node would remove all tunnels.
    for command in [
        &["tenant", "list"][..],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let refused = ours.run(command).refusal();
        assert!(refused.contains("was moved to PostgreSQL"), "{refused}");
        assert!(!ours.sqlite().exists());
    }
    let doctor = ours.run(&["doctor", "--json"]);
    assert!(
        doctor.out.contains("was moved to PostgreSQL"),
        "{}",
        doctor.out
    );
    let list = ours.run(&["tenant", "list", "--database-url", &ours.url()]);
    assert_eq!(list.output().lines().count(), 4);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let ours = Installation::new(&server, Some(CONFIG));
    let files = ours.files();
    let to = |url: &str| ours.run(&["database", "move", "--to", url]).refusal();
    for (url, reason) in [
        (
            "sqlite:///tmp/other.sqlite",
            "no address of a PostgreSQL database",
        ),
        (
            "mysql://u:gehe%40im@h/d",
            "no address of a PostgreSQL database",
        ),
        (
            "postgres://u:gehe%40im@127.0.0.1:1/d",
            "127.0.0.1:1/d does not answer",
        ),
    ] {
        let refused = to(url);
        assert!(refused.contains(reason), "{url}: {refused}");
    }
    let absent = ours.url().replacen(&ours.database, "no_such_database", 1);
    let refused = to(&absent);
    assert!(
        refused.contains("createdb -E UTF8 -T template0 -O postgres no_such_database"),
        "{refused}"
    );

    // A server runs, or another command is at work.
    let lock = |name: &str| {
        let file = File::create(ours.central().join(name)).unwrap();
        file.lock().unwrap();
        file
    };
    let running = lock("serve.lock");
    let refused = ours.move_with(&[]).refusal();
    assert!(
        refused.contains("Stop it first: systemctl stop maliknode"),
        "{refused}"
    );
    let check = ours.move_with(&["--dry-run"]).output();
    assert!(check.contains("The server runs. Stop it"), "{check}");
    drop(running);
    let at_work = lock("database.lock");
    let refused = ours.move_with(&[]).refusal();
    assert!(refused.contains("Another maliknode command"), "{refused}");
    let refused = ours.run(&["tenant", "list"]).refusal();
    assert!(refused.contains("Another maliknode command"), "{refused}");
    drop(at_work);

    // Another program's database.
    ours.query("CREATE TABLE invoices (id BIGINT)");
    let refused = ours.move_with(&[]).refusal();
    assert!(
        refused.contains("is not empty: look at the table invoices"),
        "{refused}"
    );
    ours.query("DROP TABLE invoices");

    assert_eq!(ours.tenants(), "");
    let mut files_after = ours.files();
    files_after.retain(|f| f != "serve.lock" && f != "database.lock");
    let mut files = files;
    files.retain(|f| f != "serve.lock" && f != "database.lock");
    assert_eq!(files_after, files);
    let config = fs::read_to_string(ours.central().join("config.toml")).unwrap();
    assert_eq!(config, CONFIG);

    fs::remove_file(ours.central().join("seal.key")).unwrap();
    let refused = ours.move_with(&[]).refusal();
    assert!(refused.contains("seal.key does not exist"), "{refused}");
    assert!(!ours.central().join("seal.key").exists());
    fs::remove_file(ours.sqlite()).unwrap();
    let refused = ours.move_with(&[]).refusal();
    assert!(refused.contains("There is no database"), "{refused}");
    assert!(!ours.sqlite().exists());
    for wrong in [
        &["database"][..],
        &["database", "move"],
        &["database", "move", "--too", "x"],
    ] {
        assert_eq!(ours.run(wrong).code, Some(2), "{wrong:?}");
    }
    let help = ours.run(&["database", "move", "--help"]).output();
    assert!(
        help.contains("--dry-run") && help.contains("MALIKNODE_MOVE_TO"),
        "{help}"
    );
}
