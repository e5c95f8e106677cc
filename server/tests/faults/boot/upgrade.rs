//! Starts over what an older version left: a root folder, database included,
//! that the program of commit dc09088 made (`fixtures/`, with the
//! configurations that its devices downloaded and the operator's password).
//! Tenants are lina (slot 1, two devices) and omar (slot 2, two devices).

use super::{LIMIT, damage, kill_everything};
use crate::{
    browser::Browser,
    converges, db_vs_machine,
    engine::Engine,
    resolves,
    stack::{PORT, ServerOptions, Stack, run_here, sign_in_as, wait_for},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Unpacks the fixture, and returns options for its root and the folder of
/// what the older version handed out.
fn older_root(name: &str) -> (ServerOptions, PathBuf) {
    let mut options = ServerOptions::with_root(name);
    let archive =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/fixtures/root-dc09088.tar.xz");
    fs::create_dir_all(&options.root).unwrap();
    let (archive, folder) = (archive.to_string_lossy(), options.root.to_string_lossy());
    run_here(&["tar", "--no-same-owner", "-xJf", &archive, "-C", &folder]);
    let expected = options.root.join("expected");
    options.root = options.root.join("root");
    (options, expected)
}

fn config_of(expected: &Path, tenant: &str, device: &str) -> String {
    fs::read_to_string(expected.join(format!("{tenant}-{device}.conf"))).unwrap()
}

/// Returns a configuration as versions without IPv6 wrote it.
fn without_ipv6(config: &str) -> String {
    let lines = config.lines().map(|line| {
        let Some((key, list)) = line.split_once(" = ") else {
            return line.to_owned();
        };
        let items: Vec<&str> = list.split(", ").filter(|i| !i.contains("::")).collect();
        format!("{key} = {}", items.join(", "))
    });
    lines.map(|line| line + "\n").collect()
}

#[test]
fn an_older_root_is_taken_over_complete() {
    let _bed = crate::exclusive_bed();
    let (options, expected) = older_root("older");
    let count = "select (select count(*) from users), (select count(*) from peers), \
                 (select count(*) from audit_log), (select count(*) from events)";
    let mut stack = Stack::launch(options);
    stack.wait_for_answer();
    assert_eq!(stack.query(count)[0], ["2", "4", "11", "1"]);

    for (name, devices) in [("lina", ["1", "2"]), ("omar", ["3", "4"])] {
        let mut tenant = stack.sign_in(name);
        tenant.wait_until_ready();
        for device in devices {
            let page = tenant.get(&format!("/devices/{device}/config"));
            let expected = config_of(&expected, name, device);
            assert_eq!(without_ipv6(&page.body), expected, "{name}'s {device}");
            assert_ne!(page.body, expected, "it got an IPv6 address");
        }
    }
    converges("the machine matches the rows", LIMIT, || {
        db_vs_machine::matches(&stack)
    });

    // A device that was configured by the older version goes on.
    let mut lina = stack.sign_in("lina");
    lina.wait_until_ready();
    let phone = stack.connect("c1", "1".to_owned(), &config_of(&expected, "lina", "1"));
    wait_for("DNS answers through the tunnel", LIMIT, || {
        resolves(&phone, lina.gateway).then_some(())
    });
    let events = lina.get("/events");
    assert!(
        events.body.contains("Your tunnel was"),
        "an older event is shown: {}",
        events.body
    );

    // The operator signs in with the old password and reads the old event.
    let secret = fs::read_to_string(expected.join("operator")).unwrap();
    let (name, password) = secret.trim().split_once(' ').unwrap();
    let mut operator = Browser::new(PORT);
    // It gets the second factor that an owner must have now.
    let page = sign_in_as(&stack, &mut operator, name, password);
    assert!(
        page.body.contains("interface wg1 was gone"),
        "{}",
        page.body
    );
}

#[test]
fn an_older_checkpoint_serves_without_the_database() {
    let _bed = crate::exclusive_bed();
    let (options, expected) = older_root("older-checkpoint");
    let central = options.root.join("central_api");
    let (checkpoint, database) = (central.join("last_spec"), central.join("database.sqlite"));
    let older = fs::read(&checkpoint).unwrap();
    let content = fs::read(&database).unwrap();
    damage(&database);
    let mut stack = Stack::launch(options);
    let engine = Engine::running();
    converges("both tunnels exist without the database", LIMIT, || {
        let links = run_here(&["ip", "-o", "link"]);
        let both = links.contains(": wg1:") && links.contains(": wg2:");
        both.then_some(()).ok_or(links)
    });
    let phone = stack.connect("c1", "1".to_owned(), &config_of(&expected, "lina", "1"));
    let gateway = "10.88.1.1".parse().unwrap();
    wait_for("DNS answers without the database", LIMIT, || {
        resolves(&phone, gateway).then_some(())
    });

    // The database is back: the same process continues, and the next
    // checkpoint has the new form.
    fs::write(&database, &content).unwrap();
    stack.wait_for_answer();
    let newer = wait_for("the checkpoint is written again", LIMIT, || {
        fs::read(&checkpoint).ok().filter(|now| *now != older)
    });
    assert!(resolves(&phone, gateway), "nothing was removed meanwhile");

    // And it serves as well.
    stack.stop();
    damage(&database);
    kill_everything(&mut stack, &engine);
    engine.start();
    stack.spawn();
    converges("the tunnel exists from the new checkpoint", LIMIT, || {
        let links = run_here(&["ip", "-o", "link"]);
        links.contains(": wg2:").then_some(()).ok_or(links)
    });
    assert_eq!(fs::read(&checkpoint).unwrap(), newer);
}
