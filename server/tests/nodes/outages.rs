//! A worker without its control plane: what is in force stays, over its own restart
//! too, and what was changed meanwhile is in force soon after.

use crate::{
    blocks,
    cluster::{SharedCluster, shared_cluster},
    resolves,
    stack::{eventually, wait_for},
};
use std::time::Duration;

#[test]
fn a_worker_serves_without_its_control_plane() {
    let mut cluster = shared_cluster();
    let client = cluster.workers[0].machine.client();
    let mut alice = cluster.sign_up_on("w1", "outages");
    let (_, slot) = cluster.id_and_slot("outages");
    let gateway = alice.gateway;
    let phone = cluster
        .stack
        .add_device(&mut alice, &client, "Phone", "everything", true);
    eventually("DNS answers", || resolves(&phone, gateway));

    // The control plane is away, and the worker restarts meanwhile.
    cluster.stack.kill();
    // What is in force is on the worker's disk 0.2 s later, or 3 s after the write before.
    std::thread::sleep(Duration::from_secs(4));
    assert!(resolves(&phone, gateway) && blocks(&phone, gateway));
    cluster.workers[0].kill();
    assert!(
        resolves(&phone, gateway),
        "the tunnel outlives the worker's process"
    );
    cluster.workers[0]
        .machine
        .run(&["ip", "link", "delete", &format!("wg{slot}")]);
    assert!(!resolves(&phone, gateway));
    cluster.workers[0].start();
    wait_for(
        "the worker restores the tunnel from its own disk",
        Duration::from_secs(40),
        || resolves(&phone, gateway).then_some(()),
    );

    // It comes back and takes changes again.
    cluster.stack.restart();
    let mut alice = cluster.stack.sign_in(&alice.name);
    let tablet = wait_for("a device is added", Duration::from_secs(40), || {
        let page = alice.get("/");
        page.body.contains("DNS answering").then(|| {
            cluster
                .stack
                .add_device(&mut alice, &client, "Tablet", "network", true)
        })
    });
    eventually("the new device resolves", || resolves(&tablet, gateway));

    // A partition: what was revoked meanwhile is in force after it.
    cluster.workers[0].machine.cut();
    let removed = alice.post("/do/delete_device", &[("id", &tablet.id)]);
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert!(
        resolves(&phone, gateway) && resolves(&tablet, gateway),
        "it serves what it has"
    );
    // What is changed once the two have missed each other is corrected, and told later.
    let ended = |cluster: &SharedCluster| {
        let log = cluster.stack.log();
        log.matches("nothing was heard").count()
    };
    let before = ended(&cluster);
    wait_for("it is missed", Duration::from_secs(40), || {
        (ended(&cluster) > before).then_some(())
    });
    // The worker misses the control plane at about the same time.
    std::thread::sleep(Duration::from_secs(3));
    let told = || {
        let events = cluster.events(Some("outages"));
        let gone = |e: &&serde_json::Value| e["kind"] == "drift.interface_gone";
        events.iter().filter(gone).count()
    };
    let before = told();
    let link = format!("wg{slot}");
    let machine = &cluster.workers[0].machine;
    machine.run(&["ip", "link", "delete", &link]);
    // A new interface has no sessions. By itself a client would notice after 15 s.
    eventually("the tunnel is back", || {
        phone.reconnect();
        tablet.reconnect();
        resolves(&phone, gateway) && resolves(&tablet, gateway)
    });
    cluster.workers[0].machine.heal();
    wait_for("the removal is in force", Duration::from_secs(40), || {
        (!resolves(&tablet, gateway)).then_some(())
    });
    wait_for("the correction is told", Duration::from_secs(40), || {
        (told() > before).then_some(())
    });
    // In the client's namespace, the tablet's route to the gateway preceded the phone's.
    tablet.disconnect();
    eventually("the phone resolves", || resolves(&phone, gateway));
}
