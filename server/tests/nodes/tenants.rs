//! What a tenant on a worker has: everything that one on the local node has.

use crate::{
    blocks,
    cluster::{LOCAL, shared_cluster},
    internet,
    netns::{at, pings, tcp_reads, udp_reaches},
    resolves,
    stack::{ECHO, eventually},
};

#[test]
fn a_tenant_on_a_worker_has_everything() {
    let mut cluster = shared_cluster();
    let worker = &cluster.workers[0].machine;
    let (client, outside) = (worker.client(), worker.outside());
    let host = worker.public_host().to_string();

    let [mut alice, mut bob] = cluster.sign_up_all_on("w1", ["alice", "bobby"]);
    let mut carol = cluster.sign_up_on(LOCAL, "carol");

    // Its devices connect to the worker, which filters, masquerades and isolates.
    let phone = cluster
        .stack
        .add_device(&mut alice, &client, "Phone", "everything", true);
    let tablet = cluster
        .stack
        .add_device(&mut bob, &client, "Tablet", "network", true);
    let page = alice.get(&format!("/devices/{}/config", phone.id));
    assert!(
        page.body.contains(&format!("Endpoint = {host}:")),
        "{}",
        page.body
    );
    eventually("DNS answers", || resolves(&phone, alice.gateway));
    assert!(blocks(&phone, alice.gateway));
    let seen = tcp_reads(&phone.namespace, at(internet(), ECHO));
    assert_eq!(seen, Some(outside.to_string()), "the worker masquerades");
    assert!(udp_reaches(&phone.namespace, at(internet(), ECHO)));
    assert!(pings(&tablet.namespace, bob.gateway));
    drop(tablet);

    // A tenant of the local node is served as before.
    let laptop = cluster
        .stack
        .add_device(&mut carol, "c1", "Laptop", "everything", true);
    eventually("the local node's DNS answers", || {
        resolves(&laptop, carol.gateway)
    });

    // Its pages show what the worker reports, and its AdGuard Home answers.
    eventually("the device is shown as connected", || {
        alice.get("/devices").body.contains("Connected")
    });
    let dns = alice.get("/dns/open");
    assert_eq!(dns.status, 200, "{}", dns.body);
    assert!(dns.url.contains("-dns."), "{}", dns.url);
    let status = dns.url.trim_end_matches('/').to_owned() + "/control/status";
    let status = alice.browser.get(&status);
    assert!(
        status.body.contains("protection_enabled"),
        "{}",
        status.body
    );

    // What is taken away is taken away there.
    let removed = alice.post("/do/delete_device", &[("id", &phone.id)]);
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert!(
        !resolves(&phone, alice.gateway),
        "a removed device is cut off"
    );
}
