//! DNS policies, AdGuard Home's own settings and the kinds of routing, of a tenant on a
//! worker.

use crate::{
    ALLOWED, LISTED, adguard_home, blocks,
    cluster::shared_cluster,
    dns::{self, Answer},
    internet,
    netns::{self, at, pings, tcp_reaches},
    resolves,
    stack::{Device, ECHO, Tenant, eventually, wait_for},
};
use serde_json::Value;
use std::{net::Ipv4Addr, time::Duration};

/// A name that the tenant blocks by a rule of its own.
const OWN_RULE: &str = "chosen.example.test";
/// The port that a device serves.
const SERVED: u16 = 9_000;

/// Returns a device's client in AdGuard Home.
fn client(tenant: &mut Tenant, label: &str) -> Value {
    let text = adguard_home::get(tenant, "clients");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let clients = all["clients"].as_array().expect("clients");
    let found = clients.iter().find(|c| c["name"] == label);
    found
        .unwrap_or_else(|| panic!("no {label} in {text}"))
        .clone()
}

fn asks(device: &Device, gateway: Ipv4Addr, name: &str) -> Answer {
    dns::ask_udp(&device.namespace, gateway, name)
}

#[test]
fn policies_and_own_settings_hold_on_a_worker() {
    let mut cluster = shared_cluster();
    let mut alice = cluster.sign_up_on("w1", "chooser");
    let gateway = alice.gateway;
    let phone = cluster.add_device(&mut alice, 0, 0, "Phone", "everything");
    let laptop = cluster.add_device(&mut alice, 0, 1, "Laptop", "network");
    let kiosk = cluster.add_device(&mut alice, 0, 2, "Kiosk", "dns");
    eventually("all are filtered", || {
        [&phone, &laptop, &kiosk].iter().all(|d| blocks(d, gateway))
    });

    // Each kind of routing reaches what it should, and no more.
    netns::serve(&laptop.namespace, laptop.address, SERVED);
    let served = at(laptop.address, SERVED);
    let outside = at(internet(), ECHO);
    for (device, reaches_mesh, reaches_internet) in [
        (&phone, true, true),
        (&laptop, true, false),
        (&kiosk, false, false),
    ] {
        let from = &device.namespace;
        let what = &device.interface;
        assert!(resolves(device, gateway), "{what}");
        assert!(pings(from, gateway), "{what}");
        assert_eq!(tcp_reaches(from, served), reaches_mesh, "{what}, the mesh");
        assert_eq!(tcp_reaches(from, outside), reaches_internet, "{what}");
    }

    // A device's own policy is its own alone.
    let set = |alice: &mut Tenant, policy: &str| {
        let form = [("id", laptop.id.as_str()), ("policy", policy)];
        let page = alice.post("/do/set_device", &form);
        assert_eq!(page.status, 200, "{}", page.body);
    };
    set(&mut alice, "off");
    eventually("policy off blocks nothing", || {
        asks(&laptop, gateway, LISTED) == Answer::Address(internet())
    });
    assert!(blocks(&phone, gateway), "the other device");
    // AdGuard's look-up service cannot be reached from here, so a lock is known by its tag
    // and by safe search.
    for (policy, field, value) in [
        ("strict", "/tags/0", serde_json::json!("user_regular")),
        ("family", "/safe_search/enabled", serde_json::json!(true)),
    ] {
        set(&mut alice, policy);
        let of = |alice: &mut Tenant, name: &str| client(alice, name).pointer(field).cloned();
        eventually(policy, || of(&mut alice, "Laptop").as_ref() == Some(&value));
        assert_ne!(of(&mut alice, "Phone").as_ref(), Some(&value), "{policy}");
        eventually("it blocks", || blocks(&laptop, gateway));
    }

    // What the tenant sets in AdGuard Home itself stays: over the worker's restart, and in
    // the container that follows one that was removed.
    let rules = format!(r#"{{"rules":["||{OWN_RULE}^"]}}"#);
    adguard_home::post(&mut alice, "filtering/set_rules", &rules);
    let printer = format!(
        r#"{{"name":"Printer","ids":["{gateway}"],"use_global_settings":true,"use_global_blocked_services":true}}"#
    );
    adguard_home::post(&mut alice, "clients/add", &printer);
    let is_blocked = || {
        matches!(
            asks(&phone, gateway, OWN_RULE),
            Answer::Address(Ipv4Addr::UNSPECIFIED) | Answer::Empty(_)
        )
    };
    eventually("the own rule holds", is_blocked);
    // AdGuard Home writes its file some time after the change.
    let worker = &mut cluster.workers[0];
    let file = "users/user_chooser/adguard_data/conf/AdGuardHome.yaml";
    let file = worker.root().join(file);
    eventually("it is written", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains(OWN_RULE) && text.contains("Printer")
    });
    worker.kill();
    let container = worker.machine.container("chooser").expect("it runs");
    worker.machine.run(&["docker", "rm", "-f", &container]);
    worker.start();
    let patience = Duration::from_secs(60);
    wait_for("the filter is back", patience, || {
        (is_blocked() && blocks(&phone, gateway)).then_some(())
    });
    assert_eq!(asks(&phone, gateway, ALLOWED), Answer::Address(internet()));
    wait_for("the own client is back", patience, || {
        let page = alice.get("/");
        page.body.contains("DNS answering").then_some(())
    });
    assert_eq!(client(&mut alice, "Printer")["name"], "Printer");
    assert_eq!(client(&mut alice, "Laptop")["safe_search"]["enabled"], true);

    // Another visitor is asked to sign in, whichever machine the filter is on.
    let mut stranger = crate::browser::Browser::new(crate::stack::PORT);
    let page = stranger.get("http://chooser-dns.localhost:8085/control/status");
    assert!(!page.body.contains("protection_enabled"), "{}", page.body);
}
