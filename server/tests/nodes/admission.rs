//! Which worker gets a new tenant, and what `maliknode doctor` says on a worker.

use crate::{
    cluster::{Cluster, shared_cluster},
    machine::{Worker, text},
    stack::{PASSWORD, PORT, eventually, operator, wait_for},
};
use serde_json::Value;
use std::time::Duration;

/// Runs `maliknode doctor` on a worker.
fn examine(worker: &Worker) -> (bool, Vec<Value>) {
    let out = worker.command(&["doctor", "--json"]).output();
    let out = out.expect("nsenter runs");
    let report: Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&out)));
    let checks = report["checks"].as_array().expect("checks");
    (out.status.success(), checks.clone())
}

fn state_of<'c>(checks: &'c [Value], code: &str) -> &'c Value {
    let check = checks.iter().find(|c| c["code"] == code);
    let check = check.unwrap_or_else(|| panic!("no check {code}: {checks:?}"));
    &check["state"]
}

/// Restarts a worker with these settings.
fn restart(cluster: &mut Cluster, worker: usize, settings: &[&str]) {
    let worker = &mut cluster.workers[worker];
    worker.kill();
    worker.extra_args = settings.iter().map(|&s| s.to_owned()).collect();
    worker.start();
}

/// Returns the text of a sign-up that is refused.
fn refusal(name: &str) -> String {
    let mut browser = crate::browser::Browser::new(PORT);
    let form = [("name", name), ("password", PASSWORD), ("plan", "studio")];
    browser.post("http://localhost:8085/do/sign_up", &form).body
}

#[test]
fn a_full_worker_gets_no_tenant_and_an_empty_one_the_next() {
    let mut cluster = shared_cluster();
    let mut panel = operator(&cluster.stack);
    let nodes = "http://admin.localhost:8085/nodes";
    let tenants = |cluster: &Cluster, name: &str| {
        let sql = format!("SELECT tenants FROM nodes WHERE name = '{name}'");
        let count = cluster.query(&sql).trim().parse::<u32>();
        count.expect("a number")
    };
    // Of two, the emptier one gets the next tenant, whichever joined first.
    let first = cluster.sign_up_on("w1", "placed");
    assert!(tenants(&cluster, "w1") > tenants(&cluster, "w2"));
    cluster.open_only(&["w1", "w2"]);
    let second = cluster.stack.sign_up("emptier");
    assert_eq!(cluster.node_of(&second), "w2", "the emptier one");

    // No memory is left there for another: the next ones go elsewhere.
    restart(&mut cluster, 1, &["--memory-reserve-mb", "100000000"]);
    wait_for("it is full", Duration::from_secs(40), || {
        let page = panel.get(nodes).body;
        page.contains("no room").then_some(())
    });
    for n in 0..2 {
        let placed = cluster.stack.register(&format!("overflow{n}"));
        assert_eq!(cluster.node_of(&placed), "w1", "the other one is full");
    }
    let before = tenants(&cluster, "w2");
    cluster.open_only(&["w2"]);
    let page = refusal("nowhere");
    assert!(page.contains("full"), "{page}");
    assert_eq!(tenants(&cluster, "w2"), before);
    let count = cluster.query("SELECT count(*) FROM users WHERE username = 'nowhere'");
    assert_eq!(count.trim(), "0", "nothing is made");
    // The tenant that it has stays.
    assert_eq!(second.name, "emptier");
    let mut second = second;
    assert!(second.get("/").body.contains("DNS answering"));

    restart(&mut cluster, 1, &[]);
    wait_for("it has room again", Duration::from_secs(40), || {
        let page = panel.get(nodes).body;
        (!page.contains("no room")).then_some(())
    });
    let third = cluster.stack.sign_up("roomy");
    assert_eq!(cluster.node_of(&third), "w2");
    drop(first);
}

#[test]
fn the_doctor_examines_a_worker_and_its_link() {
    let cluster = shared_cluster();
    let worker = &cluster.workers[0];
    let (is_healthy, checks) = examine(worker);
    let bad: Vec<_> = checks.iter().filter(|c| c["state"] == "bad").collect();
    assert!(is_healthy && bad.is_empty(), "{bad:?}");
    for code in [
        "link",
        "certificate",
        "clocks",
        "docker",
        "nft",
        "wireguard",
    ] {
        assert_eq!(state_of(&checks, code), "ok", "{code}");
    }
    // What only a control plane has is not examined.
    let codes: Vec<_> = checks.iter().filter_map(|c| c["code"].as_str()).collect();
    assert!(!codes.contains(&"database"), "{codes:?}");

    worker.machine.cut();
    let (is_healthy, checks) = examine(worker);
    worker.machine.heal();
    assert!(!is_healthy, "{checks:?}");
    assert_eq!(state_of(&checks, "link"), "bad");
    assert_eq!(state_of(&checks, "certificate"), "ok");
    let link = checks.iter().find(|c| c["code"] == "link");
    assert!(link.expect("the link")["fix"].is_string(), "it has a fix");
    let name = &worker.machine.name;
    eventually("it is heard again", || {
        let sql = format!(
            "SELECT extract(epoch FROM now()) * 1000 - last_heard < 5000 FROM nodes WHERE name = '{name}'"
        );
        cluster.query(&sql).trim() == "t"
    });
}
