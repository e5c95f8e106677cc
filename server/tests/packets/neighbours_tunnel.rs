//! What a device sends into its tunnel before it is decrypted, by all tenants' process: no
//! more packets than its plan needs, and none fewer.

use crate::{
    exclusive_bed, internet,
    iperf::{Direction, measure, measure_udp},
    neighbours::answered,
    netns::{at, inside},
    stack::{Device, ECHO, ServerOptions, Stack, TestPlan, change_plan, operator, run_here},
};
use std::{
    fs,
    net::UdpSocket,
    thread,
    time::{Duration, Instant},
};

/// Its devices may send 15,764 packets a second, rounded up to 16,000.
const PLAN: TestPlan = TestPlan {
    down: "50",
    up: "20",
    ..TestPlan::UNLIMITED
};
const RATE: f64 = 16_000.0;

/// Counts what arrives at the tenants' ports before our table, from now on.
fn count_arrivals() {
    run_here(&["nft", "add table inet arrivals"]);
    run_here(&["nft", "delete table inet arrivals"]);
    run_here(&[
        "nft",
        "table inet arrivals { counter first { }; counter second { }; chain in { \
         type filter hook prerouting priority -310; udp dport 51821 counter name first; \
         udp dport 51822 counter name second; }; }",
    ]);
}

/// Returns the number after a word of a listing.
fn number_after(word: &str, listing: &str) -> u64 {
    let (_, rest) = listing.split_once(word).expect("a counter");
    let number = rest.split(' ').next().and_then(|n| n.parse().ok());
    number.expect("a number")
}

fn arrived(counter: &str) -> u64 {
    let listing = run_here(&["nft", "list", "counter", "inet", "arrivals", counter]);
    number_after("packets ", &listing)
}

/// Returns the packets of a tenant's devices that were dropped, by its rate's chain.
fn dropped(chain: &str) -> u64 {
    let listing = run_here(&["nft", "list", "chain", "inet", "maliknode_limits", chain]);
    number_after("counter packets ", &listing)
}

/// Returns the packets that WireGuard has decrypted.
fn decrypted(interface: &str) -> u64 {
    let path = format!("/sys/class/net/{interface}/statistics/rx_packets");
    let text = fs::read_to_string(path).expect("the interface exists");
    text.trim().parse().expect("a number")
}

/// Sends empty datagrams as fast as possible for so long.
fn flood(device: &Device, duration: Duration) {
    let to = at(internet(), 9);
    inside(&device.namespace, move || {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        let begun = Instant::now();
        while begun.elapsed() < duration {
            for _ in 0..100 {
                // The tunnel's queue may be full.
                let _ = socket.send_to(&[], to);
            }
        }
    });
}

#[test]
fn a_device_has_no_more_decrypted_than_its_plan_needs() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("packets"));
    stack.wait_for_answer();
    let mut panel = operator(&stack);
    change_plan(&mut panel, "personal", PLAN);
    change_plan(&mut panel, "studio", TestPlan::UNLIMITED);
    let (mut alice, mut bob) = (
        stack.sign_up_with_plan("alice", "personal"),
        stack.sign_up("bobby"),
    );
    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    let bobs = stack.add_device(&mut bob, "c3", "Phone", "everything", true);
    assert_eq!(answered(&bobs, ECHO), 20, "before");

    // The plan's speed is reached without a dropped packet.
    for (direction, limit) in [(Direction::Down, 50.0), (Direction::Up, 20.0)] {
        for flows in [1, 8] {
            let mbps = measure(&phone.namespace, 5201, direction, flows, 3).mbps();
            println!("{direction:?}, {flows} flows: {mbps:.1} of {limit} Mb/s");
            assert!(mbps > limit * 0.7, "{direction:?}, {flows} flows: {mbps}");
        }
    }
    // 12,100 packets of 200 bytes a second.
    let mbps = measure_udp(&phone.namespace, 5201, 16.65, 172, 3).mbps();
    println!("up, packets of 200 bytes: {mbps:.1} of 16.65 Mb/s");
    assert!(mbps > 12.0, "{mbps}");
    assert_eq!(dropped("at_16000"), 0);

    count_arrivals();
    let (before, begun) = (decrypted("wg1"), Instant::now());
    let flooding = thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&phone, Duration::from_secs(4)));
        thread::sleep(Duration::from_millis(500));
        assert_eq!(answered(&bobs, ECHO), 20, "new flows of the other tenant");
        flooding.join()
    });
    flooding.expect("it is sent");
    thread::sleep(Duration::from_millis(300));
    let (sent, passed) = (arrived("first"), decrypted("wg1") - before);
    let seconds = begun.elapsed().as_secs_f64();
    println!("{sent} packets arrived in {seconds:.1} s, of which {passed} were decrypted");
    assert!(passed as f64 <= RATE * (seconds + 0.25), "{passed}");
    assert!(dropped("at_16000") > 0, "{sent} packets were no flood");
    assert!(sent - dropped("at_16000") >= passed);
    assert!(arrived("second") > 0);
    assert_eq!(dropped("at_128000"), 0, "the other tenant");
    run_here(&["nft", "delete table inet arrivals"]);
}
