//! Tenants that move between machines: one is moved, a machine is drained, one is lost.
//! Devices keep the configuration that they have.

use crate::{
    cluster::{Cluster, exclusive_bed},
    internet,
    machine::text,
    netns::{self, at, flows, open_stream, tcp_reads},
    resolves,
    stack::{Device, ECHO, STREAM, Tenant, wait_for},
};
use std::time::{Duration, Instant};

/// A device begins a handshake again 15 s after it sent something that was not answered
/// (WireGuard's whitepaper, 6.5), and the first of them may be lost.
const DEVICE_BACK: Duration = Duration::from_secs(25);

/// Lets machines reach each other's hosts, as over the internet.
fn connect_machines(cluster: &Cluster) {
    let wan = netns::var("MALIKNODE_BED_WAN");
    netns::inside(&wan, || {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("it forwards");
    });
    // The address from which a worker sends there: the userspace WireGuard answers from it.
    for worker in &cluster.workers {
        let (name, host) = (&worker.machine.name, worker.machine.outside());
        cluster.query(&format!(
            "UPDATE nodes SET host = '{host}' WHERE name = '{name}'"
        ));
    }
}

fn has_interface(cluster: &Cluster, worker: usize, slot: u16) -> bool {
    let links = cluster.workers[worker].machine.run(&["ip", "-o", "link"]);
    links.contains(&format!(" wg{slot}:"))
}

/// Waits until a device's traffic and DNS work, and returns how long that took.
fn wait_until_back(device: &Device, tenant: &Tenant) -> Duration {
    let begun = Instant::now();
    wait_for("the device is back", DEVICE_BACK, || {
        let is_back = resolves(device, tenant.gateway)
            && tcp_reads(&device.namespace, at(internet(), ECHO)).is_some();
        is_back.then_some(())
    });
    begun.elapsed()
}

#[test]
fn a_tenant_moves_and_its_device_goes_on() {
    let _bed = exclusive_bed();
    let mut cluster = Cluster::start("moving", 2);
    connect_machines(&cluster);
    let mut mona = cluster.sign_up_on("w1", "mona");
    let (_, slot) = cluster.id_and_slot("mona");
    let phone = cluster.add_device(&mut mona, 0, 0, "Phone", "everything");
    wait_until_back(&phone, &mona);
    let outside = cluster.workers[0].machine.outside().to_string();
    let seen = tcp_reads(&phone.namespace, at(internet(), ECHO));
    assert_eq!(seen, Some(outside), "by the first machine");
    cluster.open_only(&["w1", "w2"]);

    // What does not go along is confirmed, and what cannot be is refused.
    for (arguments, says) in [
        (
            &["tenant", "move", "mona", "--to", "w2"][..],
            "--without-data",
        ),
        (
            &["tenant", "move", "mona", "--to", "w1", "--without-data"],
            "is on w1 already",
        ),
        (
            &["tenant", "move", "mona", "--to", "w9", "--without-data"],
            "No node is called w9",
        ),
        (&["tenant", "move", "absent", "--without-data"], "absent"),
        (&["node", "lose", "w1"], "is heard"),
    ] {
        let out = cluster.command(arguments);
        assert!(
            !out.status.success() && text(&out).contains(says),
            "{}",
            text(&out)
        );
    }

    let begun = Instant::now();
    let moved = cluster.command(&["tenant", "move", "mona", "--to", "w2", "--without-data"]);
    assert!(moved.status.success(), "{}", text(&moved));
    assert!(text(&moved).contains("mona is on w2."), "{}", text(&moved));
    println!("the command took {:?}", begun.elapsed());
    assert_eq!(cluster.node_of(&mona), "w2");
    let back = wait_until_back(&phone, &mona);
    println!("the device was back after {back:?}");
    // Through its former machine, which it connects to, and the new one.
    let outside = cluster.workers[1].machine.outside().to_string();
    let seen = tcp_reads(&phone.namespace, at(internet(), ECHO));
    assert_eq!(seen, Some(outside), "by the second machine");
    let mut stream = open_stream(&phone.namespace, at(internet(), STREAM)).expect("a stream");
    assert!(flows(&mut stream));
    wait_for(
        "it has left the first machine",
        Duration::from_secs(20),
        || {
            let machine = &cluster.workers[0].machine;
            let has_left = !has_interface(&cluster, 0, slot) && machine.container("mona").is_none();
            has_left.then_some(())
        },
    );
    assert!(cluster.workers[0].root().join("users/user_mona").exists());
    assert!(has_interface(&cluster, 1, slot));
    // A new configuration has the new machine's host; pages show what it reports.
    let host = cluster.workers[1].machine.outside().to_string();
    let page = mona.get(&format!("/devices/{}/config", phone.id));
    assert!(
        page.body.contains(&format!("Endpoint = {host}:")),
        "{}",
        page.body
    );
    wait_for("it is shown as connected", Duration::from_secs(20), || {
        mona.get("/devices")
            .body
            .contains("Connected")
            .then_some(())
    });
    let events = cluster.events(Some("mona"));
    assert!(
        events.iter().any(|e| e["kind"] == "tenant.moved"),
        "{events:?}"
    );

    // The second machine is drained: back to the first, where its slot was kept.
    let drained = cluster.command(&["node", "drain", "w2", "--without-data", "--json"]);
    assert!(drained.status.success(), "{}", text(&drained));
    assert_eq!(cluster.node_of(&mona), "w1");
    println!(
        "back after the drain in {:?}",
        wait_until_back(&phone, &mona)
    );
    let standing = |name: &str| {
        let nodes = cluster.list();
        let node = nodes.iter().find(|n| n["name"] == name).expect("the node");
        node["standing"].clone()
    };
    assert_eq!(standing("w2"), "closed");

    // The first machine is stolen: the tenant is placed on the second again.
    cluster.open_only(&["w2"]);
    let revoked = cluster.command(&["node", "revoke", "w1"]);
    assert!(revoked.status.success(), "{}", text(&revoked));
    let lost = cluster.command(&["node", "lose", "w1"]);
    assert!(lost.status.success(), "{}", text(&lost));
    assert_eq!(cluster.node_of(&mona), "w2");
    wait_for(
        "the second machine serves it",
        Duration::from_secs(20),
        || has_interface(&cluster, 1, slot).then_some(()),
    );
}
