//! The end of a tenancy on a worker: suspended and resumed, deleted without a trace, and
//! the slot given to another tenant.

use crate::{
    adguard_home, blocks,
    cluster::{Cluster, shared_cluster},
    dns::{self, Answer},
    internet, resolves,
    stack::{Device, Tenant, eventually, operator},
};
use std::time::Duration;

/// A name that a tenant blocks by a rule of its own.
const OWN_RULE: &str = "own-rule.example.test";

/// Returns what of a tenant is left on the first worker.
fn remains(cluster: &Cluster, tenant: &str, slot: u16) -> Vec<String> {
    let worker = &cluster.workers[0];
    let machine = &worker.machine;
    let mut found = Vec::new();
    let links = machine.run(&["ip", "-o", "link"]);
    if links.contains(&format!(" wg{slot}:")) {
        found.push(format!("the interface wg{slot}"));
    }
    let table = machine.run(&["nft", "list", "table", "inet", "maliknode"]);
    if table.contains(&format!("\"wg{slot}\"")) {
        found.push(format!("elements of wg{slot}"));
    }
    found.extend(
        machine
            .container(tenant)
            .map(|id| format!("container {id}")),
    );
    let folder = worker.root().join(format!("users/user_{tenant}"));
    if folder.exists() {
        found.push(folder.display().to_string());
    }
    found
}

fn is_blocked(device: &Device, tenant: &Tenant, name: &str) -> bool {
    let answer = dns::ask_udp(&device.namespace, tenant.gateway, name);
    matches!(
        answer,
        Answer::Address(std::net::Ipv4Addr::UNSPECIFIED) | Answer::Empty(_)
    )
}

#[test]
fn a_slot_of_a_worker_keeps_nothing_of_its_former_tenant() {
    let mut cluster = shared_cluster();
    let mut alice = cluster.sign_up_on("w1", "former");
    let phone = cluster.add_device(&mut alice, 0, 0, "Phone", "network");
    eventually("it is filtered", || blocks(&phone, alice.gateway));
    let (id, slot) = cluster.id_and_slot("former");
    let rules = format!(r#"{{"rules":["||{OWN_RULE}^"]}}"#);
    adguard_home::post(&mut alice, "filtering/set_rules", &rules);
    eventually("its own rule holds", || {
        is_blocked(&phone, &alice, OWN_RULE)
    });

    // Suspended: cut off there, and told so.
    let mut panel = operator(&cluster.stack);
    let url = "http://admin.localhost:8085/do/suspend_tenant";
    let page = panel.post(url, &[("id", &id), ("suspended", "true")]);
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(!resolves(&phone, alice.gateway), "a suspended tenant");
    eventually("its container is stopped", || {
        let names = ["docker", "ps", "--format", "{{.Label \"maliknode.name\"}}"];
        let running = cluster.workers[0].machine.run(&names);
        !running.contains("adguard_user_former")
    });
    assert!(alice.get("/").body.contains("suspended"));
    let page = panel.post(url, &[("id", &id), ("suspended", "false")]);
    assert_eq!(page.status, 200, "{}", page.body);
    // A new interface has no sessions. By itself the client would notice after 15 s.
    eventually("it is back", || {
        phone.reconnect();
        resolves(&phone, alice.gateway)
    });
    eventually("with its own rule", || is_blocked(&phone, &alice, OWN_RULE));

    // Deleted: nothing is left, and its device is cut off with the answer.
    let page = alice.post("/do/delete_account", &[("name", "former")]);
    assert!(page.status < 500, "{}", page.body);
    assert!(!resolves(&phone, alice.gateway), "a deleted tenant");
    let patience = Duration::from_secs(20);
    crate::stack::wait_for("nothing is left", patience, || {
        remains(&cluster, "former", slot).is_empty().then_some(())
    });

    // The slot is given again, with other keys and without the former one's settings.
    let last = format!(
        "UPDATE nodes SET last_slot = {} WHERE name = 'w1'",
        slot - 1
    );
    cluster.query(&last);
    let mut carol = cluster.sign_up_on("w1", "latter");
    assert_eq!(cluster.id_and_slot("latter").1, slot, "the same slot");
    let laptop = cluster.add_device(&mut carol, 0, 1, "Laptop", "network");
    eventually("the next one is filtered", || {
        blocks(&laptop, carol.gateway)
    });
    let log = adguard_home::get(&mut carol, "querylog");
    assert!(!log.contains(OWN_RULE), "the former one's queries: {log}");
    let answer = dns::ask_udp(&laptop.namespace, carol.gateway, OWN_RULE);
    assert_eq!(answer, Answer::Address(internet()), "no former rule");
    phone.reconnect();
    let once = Duration::from_secs(2);
    let answer = dns::ask_once(&phone.namespace, alice.gateway, crate::ALLOWED, once);
    assert_eq!(answer, Answer::Timeout, "the former one's device");
}
