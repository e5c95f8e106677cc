//! What a plan gives, of a tenant on a worker: its speed, and a month's data used up.

use crate::{
    cluster::{Cluster, shared_cluster},
    internet,
    iperf::{Direction, measure},
    netns::{at, open_stream, tcp_reaches},
    resolves,
    stack::{Device, ECHO, TestPlan, change_plan, eventually, operator, wait_for},
    transfer::{self, BULK},
};
use std::{thread, time::Duration};

/// 30 MB at 24 Mb/s are used up in 10 s.
const METERED: TestPlan = TestPlan {
    down: "24",
    up: "12",
    data: "30",
    at_limit: "stop",
    slow: "2",
};
const LIMIT_BYTES: u64 = 30_000_000;

fn state(cluster: &Cluster) -> String {
    let sql = "SELECT quota_state FROM users WHERE username = 'metered'";
    cluster.query(sql).trim().to_owned()
}

fn reaches_internet(device: &Device) -> bool {
    tcp_reaches(&device.namespace, at(internet(), ECHO))
}

#[test]
fn a_plan_holds_on_a_worker() {
    let mut cluster = shared_cluster();
    let mut panel = operator(&cluster.stack);
    let roomy = TestPlan {
        data: "900",
        ..METERED
    };
    change_plan(&mut panel, "personal", roomy);
    cluster.open_only(&["w1"]);
    let mut alice = cluster.stack.sign_up_with_plan("metered", "personal");
    assert_eq!(cluster.node_of(&alice), "w1");
    let phone = cluster.add_device(&mut alice, 0, 0, "Phone", "everything");
    let measured = measure(&phone.namespace, 5201, Direction::Down, 1, 3).mbps();
    println!("24 Mb/s down: {measured:.1} Mb/s");
    assert!((21.0..=26.5).contains(&measured), "{measured}");

    // The plan gives less than what is used by now and by a download.
    let (_, slot) = cluster.id_and_slot("metered");
    change_plan(&mut panel, "personal", METERED);
    transfer::serve();
    let download = open_stream(&phone.namespace, at(internet(), BULK)).expect("it begins");
    let download = thread::spawn(|| transfer::read_fast(download, u64::MAX));
    wait_for("the data are used up", Duration::from_secs(40), || {
        (state(&cluster) == "stopped").then_some(())
    });
    eventually("the device is stopped", || !reaches_internet(&phone));
    assert!(resolves(&phone, alice.gateway), "DNS goes on");
    assert!(alice.get("/").body.contains("used up: stopped until "));
    assert!(alice.get("/events").body.contains("has used up this month"));
    download.join().expect("it is cut off");
    let used = transfer::counted(&cluster, "metered");
    println!("stopped at {used} of {LIMIT_BYTES} bytes");
    // A second of the plan's speed is a tenth of it.
    assert!(used >= LIMIT_BYTES && used * 100 < LIMIT_BYTES * 125);
    // A restart of the worker opens nothing.
    cluster.workers[0].kill();
    cluster.workers[0].start();
    assert!(!reaches_internet(&phone), "while the worker starts");

    change_plan(&mut panel, "personal", roomy);
    eventually("more data open it", || reaches_internet(&phone));
    assert_eq!(state(&cluster), "open");
    assert!(!alice.get("/").body.contains("used up"));

    // Slower instead of stopped.
    let slower = TestPlan {
        at_limit: "slow",
        ..METERED
    };
    change_plan(&mut panel, "personal", slower);
    let link = format!("wg{slot}");
    let queue = ["tc", "qdisc", "show", "dev", &link];
    eventually("the lower speed", || {
        let machine = &cluster.workers[0].machine;
        machine.run(&queue).contains("rate 2Mbit")
    });
    assert!(alice.get("/").body.contains("used up: slower until "));
    assert!(reaches_internet(&phone));
    // Later tests' tenants have other plans; this one's is as it was.
    change_plan(&mut panel, "personal", TestPlan::UNLIMITED);
}
