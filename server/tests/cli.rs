//! The program itself: its output and its exit codes. No test here changes the
//! machine.
// A test that cannot continue panics.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use domain::{AddressPlan, Clock, Secret, Slot, SystemClock, TenantName};
use seal::Sealer;
use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};
use store::{DatabaseUrl, LOCAL_NODE, NewEvent, NewTenant, Store};

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn maliknode(root: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maliknode"));
    command.env_clear().args(args).arg("--root").arg(root);
    let Output {
        status,
        stdout,
        stderr,
    } = command.envs(env.iter().copied()).output().unwrap();
    Run {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

fn root(config: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("central_api")).unwrap();
    fs::write(root.path().join("central_api/config.toml"), config).unwrap();
    root
}

#[test]
fn flags_override_the_environment_and_the_file() {
    let root = root("listen = \"127.0.0.1:1\"\nbase = \"file.example\"\nscheme = \"https\"\n");
    let env = [
        ("MALIKNODE_BASE", "env.example"),
        ("MALIKNODE_LISTEN", "127.0.0.1:2"),
        ("MALIKNODE_DATABASE_URL", "postgres://u:geheim@h/d"),
    ];
    let run = maliknode(root.path(), &["config", "--listen", "127.0.0.1:3"], &env);
    assert_eq!(run.code, Some(0), "{}", run.err);
    for line in [
        "listen = \"127.0.0.1:3\"",
        "base = \"env.example\"",
        "scheme = \"https\"",
        "database_url = \"postgres://[redacted]\"",
    ] {
        assert!(run.out.lines().any(|l| l == line), "{line}: {}", run.out);
    }
    assert!(!run.out.contains("geheim"));
    let help = maliknode(root.path(), &["--help"], &env);
    assert!(!help.out.contains("geheim"), "{}", help.out);
}

#[test]
fn an_unknown_setting_is_named_and_refused() {
    let root = root("listn = \"127.0.0.1:1\"\n");
    for command in ["serve", "doctor", "config"] {
        let run = maliknode(root.path(), &[command], &[]);
        assert_eq!(run.code, Some(2));
        assert!(
            run.err
                .contains("there is no setting \"listn\" (did you mean listen?)"),
            "{}",
            run.err
        );
    }
}

#[test]
fn a_taken_port_ends_the_start_first() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let root = tempfile::tempdir().unwrap();
    let run = maliknode(root.path(), &["serve", "--listen", &address], &[]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.err
            .contains(&format!("{address} is taken by another program")),
        "{}",
        run.err
    );
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn tenants_and_operators_are_managed_without_a_server() {
    let root = tempfile::tempdir().unwrap();
    let list = maliknode(root.path(), &["tenant", "list"], &[]);
    assert_eq!(list.code, Some(0), "{}", list.err);
    let missing = maliknode(root.path(), &["tenant", "delete", "nobody", "--yes"], &[]);
    assert_eq!(missing.code, Some(3));
    assert!(
        missing.err.contains("there is no tenant nobody"),
        "{}",
        missing.err
    );
    let link = maliknode(root.path(), &["operator", "link"], &[]);
    let is_link = link
        .out
        .starts_with("http://admin.localhost:8085/welcome?token=");
    assert!(is_link && link.out.lines().count() == 1, "{}", link.out);
    let again = maliknode(root.path(), &["operator", "link"], &[]);
    assert!(again.code == Some(0) && again.out != link.out);
    let invite = &["operator", "add", "ada", "--role", "support"];
    let invited = maliknode(root.path(), invite, &[]);
    assert!(invited.out.contains("/welcome?token="), "{}", invited.err);
    let list = maliknode(root.path(), &["operator", "list"], &[]);
    assert!(
        list.out.contains("ada") && list.out.contains("support"),
        "{}",
        list.out
    );
    let without_role = maliknode(root.path(), &["operator", "add", "ben"], &[]);
    assert_eq!(without_role.code, Some(2), "a role is needed");
    let removed = maliknode(root.path(), &["operator", "remove", "ada"], &[]);
    assert_eq!(removed.code, Some(0), "{}", removed.err);
    let other = maliknode(root.path(), &["operator", "reset", "nobody"], &[]);
    assert_eq!(other.code, Some(3), "{}", other.err);
}

/// Creates a tenant and events of two days in the database.
async fn write_events(root: &Path) {
    let central = root.join("central_api");
    let sealer = Sealer::from_key_file(&central.join("seal.key")).unwrap();
    let url = DatabaseUrl::Sqlite(central.join("database.sqlite"));
    let store = Store::open(&url, sealer).await.unwrap();
    let now = SystemClock.now();
    let yesterday = now.plus_millis(-86_400_000);
    let lina = NewTenant {
        actor: None,
        name: TenantName::parse("lina").unwrap(),
        password_hash: Secret::new("hash"),
        plan: "home".to_owned(),
        private_key: testkit::samples::key(1, 0),
        dns_password: Secret::new("dns"),
        time_zone: "UTC".to_owned(),
        invitation: None,
        mail: None,
        dns_password_hash: "hash".to_owned(),
        now: yesterday,
    };
    let (plan, none) = (AddressPlan::default(), BTreeSet::new());
    let lina = store.create_tenant(lina, &plan, &none).await;
    let lina = lina.unwrap().value;
    let event = |at, tenant: Option<(Slot, TenantName)>, kind: &str, detail: &str| NewEvent {
        at,
        tenant,
        kind: kind.to_owned(),
        detail: detail.to_owned(),
    };
    let events = [
        event(
            yesterday,
            None,
            "node.disk_unavailable.failed",
            "The disk is full.",
        ),
        event(
            now,
            Some((lina.slot, lina.name)),
            "part.dns.back",
            "lina's DNS filter works again.",
        ),
    ];
    store.record_events(LOCAL_NODE, &events).await.unwrap();
    store.close().await;
}

#[test]
fn events_are_filtered_and_printed_oldest_first() {
    let root = tempfile::tempdir().unwrap();
    let events = |args: &[&str]| {
        let args: Vec<_> = ["events"].iter().chain(args).copied().collect();
        maliknode(root.path(), &args, &[])
    };
    let none = events(&[]);
    assert_eq!(none.out, "Nothing has happened.\n", "{}", none.err);
    assert_eq!(events(&["--json"]).out, "[]\n");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(write_events(root.path()));

    let lines = |run: Run| {
        assert_eq!(run.code, Some(0), "{}", run.err);
        let lines = run
            .out
            .lines()
            .map(|l| l[l.find("  ").unwrap()..].trim().to_owned());
        lines.collect::<Vec<_>>()
    };
    let node = "node.disk_unavailable.failed The disk is full.";
    let lina = "part.dns.back                lina's DNS filter works again.";
    assert_eq!(lines(events(&[])), [node, lina]);
    assert_eq!(lines(events(&["--limit", "1"])), [lina]);
    assert_eq!(lines(events(&["--tenant", "lina"])), [lina]);
    assert_eq!(lines(events(&["--since", "12h"])), [lina]);
    assert_eq!(lines(events(&["--since", "2d"])), [node, lina]);
    let json: serde_json::Value = serde_json::from_str(&events(&["--json"]).out).unwrap();
    assert_eq!(json[0]["tenant"], serde_json::Value::Null);
    assert_eq!(json[1]["tenant"], "lina");
    assert_eq!(json[1]["message"], "lina's DNS filter works again.");
    assert!(json[1]["at"].as_str().unwrap().ends_with('Z'));

    let nobody = events(&["--tenant", "nobody"]);
    assert_eq!(nobody.code, Some(3));
    assert!(
        nobody.err.contains("there is no tenant nobody"),
        "{}",
        nobody.err
    );
    let when = events(&["--since", "yesterday"]);
    assert_eq!(when.code, Some(2));
    assert!(when.err.contains("12h"), "{}", when.err);
}

/// Seals a spec of no tenants as the node would, and returns the file.
fn write_checkpoint(root: &Path) -> std::path::PathBuf {
    let central = root.join("central_api");
    let sealer = Sealer::from_key_file(&central.join("seal.key")).unwrap();
    let checkpoint =
        agent::SpecCheckpoint::new(central.join("last_spec"), sealer, store::LOCAL_NODE);
    checkpoint.write(&protocol::NodeSpec::default()).unwrap();
    checkpoint.path().to_owned()
}

#[test]
fn the_seal_key_is_changed_while_no_server_runs() {
    let root = tempfile::tempdir().unwrap();
    let change = || maliknode(root.path(), &["seal-key", "change"], &[]);
    let none = change();
    assert_eq!(none.code, Some(1));
    assert!(none.err.contains("no key to change"), "{}", none.err);

    let list = maliknode(root.path(), &["tenant", "list"], &[]);
    assert_eq!(list.code, Some(0), "{}", list.err);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(write_events(root.path()));
    let checkpoint = write_checkpoint(root.path());
    let key = root.path().join("central_api/seal.key");
    let former = fs::read(&key).unwrap();

    // As a server that runs holds it.
    let lock = fs::File::create(root.path().join("central_api/serve.lock")).unwrap();
    lock.try_lock().unwrap();
    let running = change();
    assert_eq!(running.code, Some(1));
    assert!(running.err.contains("stop it first"), "{}", running.err);
    assert_eq!(fs::read(&key).unwrap(), former);
    drop(lock);

    // Interrupted after the new key was written: the next one goes on with it.
    Sealer::begin_key_change(&key).unwrap();
    let done = change();
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(
        done.out.contains("and the checkpoint are sealed"),
        "{}",
        done.out
    );
    assert_ne!(fs::read(&key).unwrap(), former);
    assert_eq!(fs::read_to_string(&key).unwrap().lines().count(), 1);

    let sealer = Sealer::from_key_file(&key).unwrap();
    let read = agent::SpecCheckpoint::new(checkpoint, sealer, store::LOCAL_NODE).read();
    assert_eq!(read.unwrap(), Some(protocol::NodeSpec::default()));
    let list = maliknode(root.path(), &["tenant", "list"], &[]);
    assert!(list.out.contains("lina"), "{}{}", list.out, list.err);
}

#[test]
fn a_key_elsewhere_is_made_by_the_operator() {
    let root = tempfile::tempdir().unwrap();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("maliknode.key");
    let env = [("MALIKNODE_SEAL_KEY", file.to_str().unwrap())];
    let list = || maliknode(root.path(), &["tenant", "list"], &env);
    let missing = list();
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("seal-key create"), "{}", missing.err);
    assert!(!file.exists(), "what is not mounted is not made");
    let create = || maliknode(root.path(), &["seal-key", "create"], &env);
    assert_eq!(create().code, Some(0));
    assert_eq!(list().code, Some(0));
    assert!(!root.path().join("central_api/seal.key").exists());
    let again = create();
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("exists already"), "{}", again.err);
}
