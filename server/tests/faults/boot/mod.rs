//! Starts under bad conditions: each ends in service or in an error message.
//! `MALIKNODE_BOOT_TENANTS` sets the number of tenants of the cold start.

mod disk;
mod files;
mod gate;
mod networks;
mod upgrade;

use crate::{
    converges, db_vs_machine,
    engine::{self, Engine},
    env_number, resolves,
    stack::{PORT, ServerOptions, Stack, run_here, wait_for},
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// How long a start may take on a busy machine, and each step after it.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a command that must fail, and returns its exit code and output.
fn failed_command(options: &ServerOptions, command: &[&str]) -> (i32, String) {
    let out = options.command(command).output().expect("the program runs");
    let text =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.code().unwrap_or(-1), text)
}

/// Waits until a server that cannot start has ended, and returns its log.
fn failed_start(stack: &mut Stack) -> String {
    let status = wait_for("the server ends", LIMIT, || stack.exit_status());
    assert!(!status.success());
    stack.log()
}

/// Gets a page, and returns its status and the whole response.
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

/// Simulates a power cut: no process runs, and nothing that was in memory is
/// left. The disk stays.
fn power_cut(stack: &mut Stack, engine: &Engine) {
    stack.kill();
    engine::wireguard_process()
        .into_iter()
        .for_each(engine::kill);
    engine.power_cut();
    let _ = Command::new("nft").args(["flush", "ruleset"]).output();
    let _ = Command::new("ip").args(["link", "del", "mn0"]).output();
    let _ = fs::remove_dir_all("/run/maliknode");
    wait_for("the interfaces are gone", LIMIT, || {
        let links = run_here(&["ip", "-o", "link"]);
        (!links.contains(": wg")).then_some(())
    });
}

#[test]
fn a_cold_start_restores_every_tenant() {
    let _bed = crate::exclusive_bed();
    let tenants = env_number("MALIKNODE_BOOT_TENANTS", 8);
    let mut stack = Stack::launch(ServerOptions::with_root("cold"));
    stack.wait_for_answer();
    let engine = Engine::running();
    let mut first = stack.register("tenant1");
    for n in 2..=tenants {
        stack.register(&format!("tenant{n}"));
    }
    first.wait_until_ready();
    let device = stack.add_device(&mut first, "c1", "Phone", "network", false);
    let patience = Duration::from_secs(60 + 2 * tenants);
    converges("every tenant is ready", patience, || {
        db_vs_machine::matches(&stack)
    });

    power_cut(&mut stack, &engine);
    let begun = Instant::now();
    stack.restart();
    converges("tunnels are up without Docker", LIMIT, || {
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
    converges("everything is as before", patience, || {
        db_vs_machine::matches(&stack)
    });
    let recovery = late.elapsed();
    device.reconnect();
    wait_for("DNS answers through the tunnel", LIMIT, || {
        resolves(&device, first.gateway).then_some(())
    });
    println!(
        "cold start, {tenants} tenants: tunnels after {:.1} s; all DNS filters {:.1} s after Docker's start",
        tunnels.as_secs_f32(),
        recovery.as_secs_f32()
    );
}

#[test]
fn a_start_without_database_uses_the_last_spec() {
    let _bed = crate::exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("checkpoint"));
    stack.wait_for_answer();
    let engine = Engine::running();
    let mut alice = stack.sign_up("alice");
    let device = stack.add_device(&mut alice, "c1", "Phone", "network", false);
    let central = stack.root().join("central_api");
    let (checkpoint, database) = (central.join("last_spec"), central.join("database.sqlite"));
    let written = || fs::metadata(&checkpoint).and_then(|m| m.modified()).ok();
    let first = wait_for("the checkpoint is written", LIMIT, written);
    stack.add_device(&mut alice, "c2", "Laptop", "network", false);
    wait_for("the newer checkpoint is written", LIMIT, || {
        written().filter(|t| *t > first)
    });

    stack.stop();
    let content = fs::read(&database).unwrap();
    damage(&database);
    kill_everything(&mut stack, &engine);
    engine.start();
    let begun = Instant::now();
    stack.spawn();
    converges("the tunnel exists without the database", LIMIT, || {
        let links = run_here(&["ip", "-o", "link"]);
        (links.contains(": wg1:")).then_some(()).ok_or(links)
    });
    let tunnel = begun.elapsed();
    device.reconnect();
    wait_for("DNS answers without the database", LIMIT, || {
        resolves(&device, alice.gateway).then_some(())
    });
    println!(
        "without a database: a tunnel after {:.1} s, DNS after {:.1} s",
        tunnel.as_secs_f32(),
        begun.elapsed().as_secs_f32()
    );
    let (code, page) = status("/").expect("the server answers");
    assert_eq!(code, 503, "{page}");
    assert!(page.contains("database does not answer"), "{page}");

    // The database is restored: the same process continues with it.
    fs::write(&database, &content).unwrap();
    stack.wait_for_answer();
    assert!(
        resolves(&device, alice.gateway),
        "nothing was removed meanwhile"
    );
    converges("everything is as before", LIMIT, || {
        db_vs_machine::matches(&stack)
    });

    // A damaged checkpoint is reported, and is no reason to crash or to wait.
    stack.stop();
    fs::write(&checkpoint, "v1:damaged").unwrap();
    stack.restart();
    let rewritten = wait_for("the checkpoint is written again", LIMIT, || {
        fs::read_to_string(&checkpoint)
            .ok()
            .filter(|t| t != "v1:damaged")
    });
    assert!(rewritten.starts_with("v1:"));
    stack.stop();
    fs::write(&checkpoint, "v1:damaged").unwrap();
    damage(&database);
    stack.spawn();
    let output = failed_start(&mut stack);
    assert!(
        output.contains("is damaged or of another key file"),
        "{output}"
    );
}

/// Overwrites a file with text, which is long enough to be read as a database.
fn damage(database: &Path) {
    let text = b"this is no database, and long enough to be read as one: ";
    fs::write(database, text.repeat(40)).unwrap();
}

/// Kills all that runs beside the server, which has ended.
fn kill_everything(stack: &mut Stack, engine: &Engine) {
    assert!(stack.exit_status().is_some());
    engine::wireguard_process()
        .into_iter()
        .for_each(engine::kill);
    engine.power_cut();
    let _ = Command::new("nft")
        .args(["delete", "table", "inet", "maliknode"])
        .output();
    let _ = fs::remove_dir_all("/run/maliknode");
}
