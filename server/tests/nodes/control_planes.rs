//! Several control planes: whichever is asked, the answer is the same, and one that ends
//! is missed by none.

use crate::{
    browser::Browser,
    cluster::exclusive_bed,
    internet,
    machine::text,
    netns::{at, open_stream},
    resolves,
    several::{self, Several},
    stack::{PASSWORD, PORT, Tenant, eventually, wait_for},
    transfer::{self, BULK},
};
use serde_json::Value;
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// Returns a browser that asks one control plane, from 1, and no other.
fn at_control_plane(n: u16) -> Browser {
    Browser::new(PORT + n)
}

/// Signs a tenant in at one control plane. Returns the page that follows.
fn try_sign_in(n: u16, name: &str, password: &str) -> (Browser, String) {
    let mut browser = at_control_plane(n);
    let form = [("name", name), ("password", password)];
    let page = browser.post("http://localhost:8085/do/sign_in", &form);
    (browser, page.body)
}

/// Returns the tenant's pages as one control plane shows them.
fn signed_in_at(n: u16, tenant: &Tenant) -> Tenant {
    let (browser, body) = try_sign_in(n, &tenant.name, PASSWORD);
    assert!(body.contains(&tenant.name), "{body}");
    Tenant {
        name: tenant.name.clone(),
        browser,
        gateway: tenant.gateway,
    }
}

#[test]
fn whichever_control_plane_is_asked_answers_the_same() {
    let _bed = exclusive_bed();
    let mut several = Several::start("planes", 2, 2);
    transfer::serve();
    // Progress, pages and forms: each request is answered by another one.
    let mut alice = several.cluster.sign_up_on("w1", "alice");
    let phone = several
        .cluster
        .add_device(&mut alice, 0, 0, "Phone", "everything");
    eventually("DNS answers", || resolves(&phone, alice.gateway));
    for path in ["/", "/devices", "/mesh", "/events", "/account", "/"] {
        let page = alice.get(path);
        assert_eq!(page.status, 200, "{path}: {}", page.body);
    }

    // A change at each is in force when it answers, although the worker asks one of them.
    for n in 1..=2 {
        let mut there = signed_in_at(n, &alice);
        let label = format!("Tablet {n}");
        let tablet = several
            .cluster
            .add_device(&mut there, 0, 0, &label, "network");
        assert!(resolves(&tablet, alice.gateway), "{label}");
        let removed = there.post("/do/delete_device", &[("id", &tablet.id)]);
        assert_eq!(removed.status, 200, "{}", removed.body);
        assert!(!resolves(&tablet, alice.gateway), "{label} is cut off");
        tablet.disconnect();
    }

    // AdGuard Home through each of them, with what a page sends in several requests.
    for _ in 0..4 {
        let dns = alice.get("/dns/open");
        assert!(dns.url.contains("-dns."), "{}: {}", dns.url, dns.body);
        let status = dns.url.trim_end_matches('/').to_owned() + "/control/status";
        let status = alice.browser.get(&status);
        assert!(
            status.body.contains("protection_enabled"),
            "{}",
            status.body
        );
    }

    // Traffic is counted once, and what happens is told once.
    let stream = open_stream(&phone.namespace, at(internet(), BULK)).expect("it begins");
    transfer::read_slowly(stream, 8_000_000);
    let seen = transfer::seen_by(&phone);
    wait_for("it is counted", Duration::from_secs(30), || {
        (transfer::counted(&several.cluster, "alice") * 100 >= seen * 98).then_some(())
    });
    several.cluster.workers[0]
        .machine
        .run(&["ip", "link", "delete", "wg1"]);
    eventually("the tunnel is restored", || resolves(&phone, alice.gateway));
    thread::sleep(Duration::from_secs(12));
    let counted = transfer::counted(&several.cluster, "alice");
    let now = transfer::seen_by(&phone);
    assert!(counted <= now * 102 / 100, "{counted} are counted of {now}");
    let events = several.cluster.events(Some("alice"));
    let is_drift = |e: &&Value| {
        e["kind"]
            .as_str()
            .is_some_and(|kind| kind.contains("drift"))
    };
    let drifts = events.iter().filter(is_drift).count();
    assert_eq!(drifts, 1, "the deleted interface is one event: {events:?}");

    // Tries are counted together.
    let answers: Vec<String> = (0..6)
        .map(|i| try_sign_in(1 + i % 2, "alice", "a wrong password").1)
        .collect();
    assert!(answers[5].contains("Too many tries"), "{}", answers[5]);
    assert!(!answers[4].contains("Too many tries"), "{}", answers[4]);
    let right = try_sign_in(1, "alice", PASSWORD).1;
    assert!(right.contains("Too many tries"), "{right}");
    let logs = several.logs();
    assert!(!logs.contains("panicked"), "{logs}");
}

#[test]
fn one_that_ends_is_missed_by_none() {
    let _bed = exclusive_bed();
    let mut several = Several::start("ending", 2, 1);
    let mut alice = several.cluster.sign_up_on("w1", "alice");
    let phone = several
        .cluster
        .add_device(&mut alice, 0, 0, "Phone", "everything");
    eventually("DNS answers", || resolves(&phone, alice.gateway));

    for ending in 0..2 {
        if ending == 0 {
            several.cluster.stack.kill();
        } else {
            several.others[0].kill();
        }
        assert!(resolves(&phone, alice.gateway), "the worker serves");
        let label = format!("Tablet {ending}");
        // The session is another's too, and the worker takes changes from the one that is left.
        wait_for("pages answer", Duration::from_secs(5), || {
            (alice.get("/").status == 200).then_some(())
        });
        let form = [
            ("label", label.as_str()),
            ("routing", "network"),
            ("policy", "standard"),
        ];
        let made = alice.post("/do/add_device", &form);
        assert_eq!(made.status, 200, "{}", made.body);
        let id = made.url.rsplit('/').next().unwrap_or_default().to_owned();
        let id: String = id.chars().take_while(char::is_ascii_digit).collect();
        let config = alice.get(&format!("/devices/{id}/config")).body;
        let client = several.cluster.workers[0].machine.clients()[0].clone();
        let tablet = several.cluster.stack.connect(&client, id, &config);
        wait_for("it is in force", Duration::from_secs(10), || {
            resolves(&tablet, alice.gateway).then_some(())
        });
        tablet.disconnect();
        if ending == 0 {
            several.cluster.stack.restart();
        } else {
            several.others[0].restart();
        }
        // It hears from the worker again before the other one ends.
        let n = 1 + ending;
        let mut there = signed_in_at(n, &alice);
        wait_for("it hears from the worker", Duration::from_secs(20), || {
            there.get("/").body.contains("DNS answering").then_some(())
        });
    }
    let cpu = several.logs();
    assert!(!cpu.contains("panicked"), "{cpu}");
}

#[test]
fn a_node_of_its_own_has_no_control_plane_beside_it() {
    let _bed = exclusive_bed();
    let several = Several::start("beside", 1, 0);
    let url = several.cluster.url();
    // With a node beside one without.
    let mut with_node = several::options("node", 3, url);
    with_node.extra_args.retain(|arg| arg != "--no-node");
    let out = with_node.command(&["serve"]).output().expect("it runs");
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains("another key") || text(&out).contains("--no-node"));
    // SQLite has one process.
    let mut sqlite = several::options("lite", 4, url);
    sqlite.extra_args = vec!["--no-node".to_owned()];
    let out = sqlite.command(&["serve"]).output().expect("it runs");
    assert_eq!(out.status.code(), Some(2), "{}", text(&out));
    assert!(text(&out).contains("database move"), "{}", text(&out));
}

/// The way from one server to several control planes: its node becomes a worker.
#[test]
fn the_node_of_the_first_control_plane_becomes_a_worker() {
    let _bed = exclusive_bed();
    let mut cluster = crate::cluster::Cluster::start("becomes", 0);
    let mut alice = cluster.stack.sign_up("alice");
    let phone = cluster
        .stack
        .add_device(&mut alice, "c1", "Phone", "everything", true);
    eventually("DNS answers", || resolves(&phone, alice.gateway));
    let interface = || fs::read_to_string("/sys/class/net/wg1/ifindex").expect("it is there");
    let before = interface();

    cluster.stack.stop();
    cluster.stack.add_argument("--no-node");
    cluster.stack.restart();
    assert!(resolves(&phone, alice.gateway), "the tunnel stays up");
    let out = cluster.command(&["worker", "token", "--for", "local"]);
    assert!(out.status.success(), "{}", text(&out));
    let command = String::from_utf8_lossy(&out.stdout).into_owned();
    let token = command.split_whitespace().find(|w| w.starts_with("mn1_"));
    let to = format!("https://127.0.0.1:{}", crate::cluster::NODES_PORT);
    let join = [
        "worker",
        "join",
        token.expect("a token"),
        "--to",
        &to,
        "--host",
        "198.18.0.1",
    ];
    let joined = cluster.command(&join);
    assert!(joined.status.success(), "{}", text(&joined));
    let mut worker = cluster.stack.options().command(&["worker", "run"]);
    let mut worker = worker.spawn().expect("it runs");
    wait_for("its pages are live", Duration::from_secs(40), || {
        let page = alice.get("/");
        page.body.contains("DNS answering").then_some(())
    });
    let tablet = cluster
        .stack
        .add_device(&mut alice, "c2", "Tablet", "network", true);
    let begun = Instant::now();
    let both = || resolves(&phone, alice.gateway) && resolves(&tablet, alice.gateway);
    while !both() && begun.elapsed() < Duration::from_secs(20) {}
    let (both_work, after) = (both(), interface());
    worker.kill().expect("it can be killed");
    worker.wait().expect("it has ended");
    assert!(both_work, "the old device and the new one");
    assert_eq!(after, before, "the interface was never removed");
}
