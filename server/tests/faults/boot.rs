//! Bad beginnings: each ends in service or in a sentence.
//! `MALIKNODE_BOOT_TENANTS` says how many tenants the cold start has.

use super::{
    converges,
    engine::{self, Engine},
    number, resolves,
    stack::{PORT, Stack, Start, run_here, until},
    truth,
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// A start, and what comes after it, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// What a program that must not work prints, with its exit code.
fn refused(how: &Start, command: &[&str]) -> (i32, String) {
    let out = how.command(command).output().expect("the program runs");
    let text =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.code().unwrap_or(-1), text)
}

/// Waits until a server that cannot start has ended; what it said.
fn ends(stack: &mut Stack) -> String {
    let status = until("the server ends", SOON, || stack.ended());
    assert!(!status.success());
    stack.log()
}

fn status(path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: localhost:{PORT}\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some((answer.split(' ').nth(1)?.parse().ok()?, answer))
}

/// As after the mains were cut: nothing runs, and nothing that lived in memory
/// is left. The disk stays.
fn power_cut(stack: &mut Stack, engine: &Engine) {
    stack.kill();
    engine::child().into_iter().for_each(engine::kill_nine);
    engine.power_cut();
    let _ = Command::new("nft")
        .args(["delete", "table", "inet", "maliknode"])
        .output();
    let _ = Command::new("ip").args(["link", "del", "mn0"]).output();
    let _ = fs::remove_dir_all("/run/maliknode");
    until("the interfaces have gone", SOON, || {
        let links = run_here(&["ip", "-o", "link"]);
        (!links.contains(": wg")).then_some(())
    });
}

#[test]
fn a_cold_start_brings_everybody_back_with_docker_coming_last() {
    let _turn = super::turn();
    let tenants = number("MALIKNODE_BOOT_TENANTS", 8);
    let mut stack = Stack::launch(Start::named("cold"));
    stack.wait_for_answer();
    let engine = Engine::running();
    let mut first = stack.register("tenant1");
    for n in 2..=tenants {
        stack.register(&format!("tenant{n}"));
    }
    first.wait_until_ready();
    let device = stack.add_device(&mut first, "c1", "Phone", "network", false);
    let patience = Duration::from_secs(60 + 2 * tenants);
    converges("all are made", patience, || {
        truth::stands_as_the_rows_say(&stack)
    });

    power_cut(&mut stack, &engine);
    let begun = Instant::now();
    stack.start_again();
    converges("tunnels are up without Docker", SOON, || {
        let links = run_here(&["ip", "-o", "link"]);
        let up = links
            .lines()
            .filter(|l| l.contains(": wg") && l.contains(",UP"))
            .count();
        (up as u64 == tenants)
            .then_some(())
            .ok_or_else(|| format!("{up} of {tenants} are up"))
    });
    let tunnels = begun.elapsed();
    std::thread::sleep(Duration::from_secs(5));
    assert!(
        stack.log().contains("Docker"),
        "the log says what is missing"
    );
    let late = Instant::now();
    engine.start();
    converges("all is as it was", patience, || {
        truth::stands_as_the_rows_say(&stack)
    });
    let whole = late.elapsed();
    device.reconnect();
    until("DNS answers through the tunnel", SOON, || {
        resolves(&device, first.gateway).then_some(())
    });
    println!(
        "cold start, {tenants} tenants: tunnels after {:.1} s; all DNS filters {:.1} s after Docker's start",
        tunnels.as_secs_f32(),
        whole.as_secs_f32()
    );
}

#[test]
fn without_a_database_the_machine_comes_up_from_the_last_spec() {
    let _turn = super::turn();
    let mut stack = Stack::launch(Start::named("kept"));
    stack.wait_for_answer();
    let engine = Engine::running();
    let mut alice = stack.sign_up("alice");
    let device = stack.add_device(&mut alice, "c1", "Phone", "network", false);
    let central = stack.root().join("central_api");
    let (copy, database) = (central.join("last_spec"), central.join("database.sqlite"));
    let conf = || fs::metadata(&copy).and_then(|m| m.modified()).ok();
    let made = until("the spec is kept", SOON, conf);
    stack.add_device(&mut alice, "c2", "Laptop", "network", false);
    until("the newer spec is kept", SOON, || {
        conf().filter(|t| *t > made)
    });

    stack.stop();
    let whole = fs::read(&database).unwrap();
    fs::write(
        &database,
        b"this is no database, and long enough to be read as one: ".repeat(40),
    )
    .unwrap();
    stack_is_off(&mut stack, &engine);
    engine.start();
    let begun = Instant::now();
    stack.relaunch();
    converges("the tunnel is there without the database", SOON, || {
        let links = run_here(&["ip", "-o", "link"]);
        (links.contains(": wg1:")).then_some(()).ok_or(links)
    });
    let tunnel = begun.elapsed();
    device.reconnect();
    until("DNS answers without the database", SOON, || {
        resolves(&device, alice.gateway).then_some(())
    });
    println!(
        "without a database: a tunnel after {:.1} s, DNS after {:.1} s",
        tunnel.as_secs_f32(),
        begun.elapsed().as_secs_f32()
    );
    let (code, page) = status("/").expect("somebody answers");
    assert_eq!(code, 503, "{page}");
    assert!(page.contains("database does not answer"), "{page}");

    // The database comes back: the same process goes on with it.
    fs::write(&database, &whole).unwrap();
    stack.wait_for_answer();
    assert!(
        resolves(&device, alice.gateway),
        "nothing was torn down in between"
    );
    converges("all is as it was", SOON, || {
        truth::stands_as_the_rows_say(&stack)
    });

    // A copy that is damaged is told, and is no reason to crash or to wait.
    stack.stop();
    fs::write(&copy, "v1:damaged").unwrap();
    stack.start_again();
    let damaged = until("the copy is written anew", SOON, || {
        fs::read_to_string(&copy).ok().filter(|t| t != "v1:damaged")
    });
    assert!(damaged.starts_with("v1:"));
    stack.stop();
    fs::write(&copy, "v1:damaged").unwrap();
    fs::write(
        &database,
        b"this is no database, and long enough to be read as one: ".repeat(40),
    )
    .unwrap();
    stack.relaunch();
    let said = ends(&mut stack);
    assert!(said.contains("is damaged or of another key file"), "{said}");
}

fn stack_is_off(stack: &mut Stack, engine: &Engine) {
    assert!(stack.ended().is_some());
    engine::child().into_iter().for_each(engine::kill_nine);
    engine.power_cut();
    let _ = Command::new("nft")
        .args(["delete", "table", "inet", "maliknode"])
        .output();
    let _ = fs::remove_dir_all("/run/maliknode");
}

#[test]
fn a_network_of_the_host_in_our_range_is_told() {
    let _turn = super::turn();
    run_here(&["ip", "link", "add", "lan0", "type", "bridge"]);
    run_here(&["ip", "addr", "add", "10.88.7.1/16", "dev", "lan0"]);
    run_here(&["ip", "link", "set", "lan0", "up"]);
    let sentence = "this machine's network 10.88.0.0/16 on lan0 overlaps with our 10.88.0.0/14";
    let mut stack = Stack::launch(Start::named("clash"));
    stack.wait_for_answer();
    assert!(stack.log().contains(sentence), "{}", stack.log());
    let (code, report) = refused(stack.how(), &["doctor"]);
    assert!(
        code == 1 && report.contains(sentence) && report.contains("[addresses]"),
        "{report}"
    );
    // A tunnel's own range is the narrower one, and goes before.
    let mut alice = stack.sign_up("alice");
    let device = stack.add_device(&mut alice, "c1", "Phone", "network", false);
    until("DNS answers", SOON, || {
        resolves(&device, alice.gateway).then_some(())
    });
    run_here(&["ip", "link", "del", "lan0"]);
}

#[test]
fn a_network_of_docker_in_our_range_is_told_and_waited_for() {
    let _turn = super::turn();
    for id in engine::docker(&["ps", "-aq"]).lines() {
        engine::docker(&["rm", "-f", id]);
    }
    let _ = Command::new("docker")
        .args(["network", "rm", "maliknode"])
        .output();
    engine::docker(&["network", "create", "--subnet", "10.92.0.0/22", "somebodys"]);
    let mut stack = Stack::launch(Start::named("pool"));
    stack.wait_for_answer();
    let mut alice = stack.register("alice");
    converges("the tenant is told", SOON, || {
        let page = alice.get("/").body;
        let told = page.contains("10.92.0.0/21");
        told.then_some(()).ok_or_else(|| stack.log())
    });
    engine::docker(&["network", "rm", "somebodys"]);
    alice.wait_until_ready();
}

#[test]
fn a_full_disk_stops_changes_and_nothing_else() {
    let _turn = super::turn();
    let how = Start::named("full");
    let _disk = Disk::mount(&how.root);
    let mut stack = Stack::launch(how.clone());
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let device = stack.add_device(&mut alice, "c1", "Phone", "network", false);
    fill(&how.root.join("ballast"));
    // What is to be written down is refused with a sentence …
    let form = [
        ("label", "Laptop"),
        ("routing", "network"),
        ("policy", "standard"),
    ];
    let page = until("a change is refused", SOON, || {
        let n =
            fs::metadata(how.root.join("central_api/database.sqlite-wal")).map_or(0, |m| m.len());
        let page = alice.post("/api/add_device", &form);
        (!is_a_device(&page.url)).then_some(page).or_else(|| {
            println!("added with a log of {n} bytes");
            None
        })
    });
    assert!(page.body.contains("full"), "{}: {}", page.url, page.body);
    // … and what is in force stays, over a restart too.
    assert!(resolves(&device, alice.gateway));
    stack.kill();
    stack.relaunch();
    let end = Instant::now() + Duration::from_secs(12);
    let mut served = false;
    while Instant::now() < end && stack.ended().is_none() && !served {
        served = status("/healthz").is_some_and(|(code, _)| code == 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = stack.log();
    assert!(
        served || log.contains("full"),
        "neither service nor a sentence: {log}"
    );
    assert!(resolves(&device, alice.gateway), "after a restart");
    let (_, report) = refused(&how, &["doctor"]);
    assert!(report.contains("the disk is full"), "{report}");

    fs::remove_file(how.root.join("ballast")).unwrap();
    if stack.ended().is_some() {
        stack.start_again();
    }
    stack.wait_for_answer();
    let mut alice = stack.sign_in("alice");
    let page = alice.post("/api/add_device", &form);
    assert!(is_a_device(&page.url), "{}: {}", page.url, page.body);
    converges("all is whole again", SOON, || {
        truth::stands_as_the_rows_say(&stack)
    });
}

#[test]
fn a_read_only_disk_is_a_sentence_and_tunnels_go_on() {
    let _turn = super::turn();
    let how = Start::named("readonly");
    let disk = Disk::mount(&how.root);
    let mut stack = Stack::launch(how.clone());
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let device = stack.add_device(&mut alice, "c1", "Phone", "network", false);
    stack.stop();
    disk.remount("ro");
    stack.relaunch();
    let said = ends(&mut stack);
    assert!(
        said.contains("read-only") || said.contains("cannot be used"),
        "{said}"
    );
    assert!(resolves(&device, alice.gateway), "what is in force stays");
    let (code, report) = refused(&how, &["doctor"]);
    assert!(
        code == 1 && report.contains("is on a read-only disk"),
        "{report}"
    );
    disk.remount("rw");
    stack.start_again();
    converges("all is whole again", SOON, || {
        truth::stands_as_the_rows_say(&stack)
    });
}

#[test]
fn a_configuration_that_cannot_be_is_named() {
    let _turn = super::turn();
    let how = Start::named("config");
    let central = how.root.join("central_api");
    fs::create_dir_all(&central).unwrap();
    for (content, told) in [
        ("listen = [", "config.toml"),
        ("tunnels_per_moon = 3", "tunnels_per_moon"),
        ("[addresses]\ntunnels = \"10.88.0.0/30\"", "addresses"),
        ("\u{0}\u{1}\u{2}", "config.toml"),
    ] {
        fs::write(central.join("config.toml"), content).unwrap();
        let (code, said) = refused(&how, &["serve"]);
        assert!(
            code == 2 && said.contains(told) && !said.contains("panicked"),
            "{content}: {code}: {said}"
        );
    }
    fs::remove_file(central.join("config.toml")).unwrap();
    fs::write(central.join("seal.key"), "not a key").unwrap();
    fs::set_permissions(
        central.join("seal.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let (code, said) = refused(&how, &["serve"]);
    assert!(code == 1 && said.contains("does not hold a key"), "{said}");
}

/// Takes the last migrations back, as a database of an earlier version looks.
const OLDER: &str = "import hashlib, pathlib, sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('''create table _sqlx_migrations (version bigint primary key, description text not null,
  installed_on timestamp not null default current_timestamp, success boolean not null,
  checksum blob not null, execution_time bigint not null)''')
for f in sorted(pathlib.Path(sys.argv[2]).glob('*.sql'))[:2]:
    sql = f.read_bytes()
    c.executescript(sql.decode())
    number, words = f.stem.split('_', 1)
    c.execute('insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (?, ?, 1, ?, 1)',
              (int(number), words.replace('_', ' '), hashlib.sha384(sql).digest()))
";

#[test]
fn an_older_schema_is_brought_up_to_date_and_a_newer_one_is_refused() {
    let _turn = super::turn();
    let how = Start::named("schema");
    let central = how.root.join("central_api");
    fs::create_dir_all(&central).unwrap();
    let database = central.join("database.sqlite");
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/sqlite");
    run_here(&[
        "python3",
        "-c",
        OLDER,
        &database.to_string_lossy(),
        &migrations.to_string_lossy(),
    ]);
    let mut stack = Stack::launch(how);
    stack.wait_for_answer();
    stack.sign_up("alice");
    stack.stop();
    const NEWER: &str = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute(\"insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', 1, x'00', 1)\")";
    run_here(&["python3", "-c", NEWER, &database.to_string_lossy()]);
    stack.relaunch();
    let said = ends(&mut stack);
    assert!(said.contains("changed by a newer MalikNode"), "{said}");
}

/// A small disk of its own under a root.
struct Disk(String);

impl Disk {
    fn mount(root: &Path) -> Self {
        fs::create_dir_all(root).unwrap();
        let at = root.to_string_lossy().into_owned();
        run_here(&[
            "mount",
            "-t",
            "tmpfs",
            "-o",
            "size=24m,mode=0700",
            "maliknode-small",
            &at,
        ]);
        Self(at)
    }

    /// For whoever comes by this path: containers write on by theirs.
    fn remount(&self, how: &str) {
        run_here(&["mount", "-o", &format!("remount,bind,{how}"), &self.0]);
    }
}

/// Whether an address is that of a device's page, and no form's.
fn is_a_device(url: &str) -> bool {
    url.split("/devices/")
        .nth(1)
        .is_some_and(|id| id.starts_with(|c: char| c.is_ascii_digit()))
}

/// Fills a disk to the last byte.
fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    let mut piece = vec![0; 1 << 16];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            let half = piece.len() / 2;
            piece.truncate(half);
        }
    }
}
