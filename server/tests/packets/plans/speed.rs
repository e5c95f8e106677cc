//! Speeds by iperf3: the plan's, of a tenant with one and with eight flows, and those
//! of another tenant beside it.

use crate::{
    exclusive_bed,
    iperf::{Direction, measure},
    stack::{ServerOptions, Stack, TestPlan, change_plan, eventually, operator, run_here},
};
use std::time::Duration;

const SLOW: TestPlan = TestPlan {
    down: "20",
    up: "10",
    ..TestPlan::UNLIMITED
};

/// Returns whether a measured speed is within 10 % of the limit.
fn holds(measured: f64, limit: f64) -> bool {
    (0.9..=1.1).contains(&(measured / limit))
}

#[test]
fn a_plans_speeds_are_what_a_device_gets() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("speed"));
    stack.wait_for_answer();
    let mut panel = operator(&stack);
    change_plan(&mut panel, "personal", SLOW);
    change_plan(&mut panel, "studio", TestPlan::UNLIMITED);
    let (mut alice, mut bob) = (
        stack.sign_up_with_plan("alice", "personal"),
        stack.sign_up("bobby"),
    );
    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    let other = stack.add_device(&mut bob, "c3", "Phone", "everything", true);

    let mut failed = vec![];
    for (direction, limit) in [(Direction::Down, 20.0), (Direction::Up, 10.0)] {
        for flows in [1, 8] {
            let measured = measure(&phone.namespace, 5201, direction, flows, 4).mbps();
            let line = format!("{limit} Mb/s {direction:?}, {flows} flows: {measured:.2} Mb/s");
            println!("{line}");
            if !holds(measured, limit) {
                failed.push(line);
            }
        }
    }
    for (direction, limit) in [(Direction::Down, 20.0), (Direction::Up, 10.0)] {
        // By turns, and the best of each, as other programs use the machine's processors.
        let (mut alone, mut beside, mut limited) = (0_f64, 0_f64, vec![]);
        for _ in 0..3 {
            alone = alone.max(measure(&other.namespace, 5202, direction, 1, 2).mbps());
            let neighbour = measure(&phone.namespace, 5201, direction, 8, 4);
            std::thread::sleep(Duration::from_millis(500));
            beside = beside.max(measure(&other.namespace, 5202, direction, 1, 2).mbps());
            limited.push(neighbour.mbps());
        }
        let line = format!(
            "{direction:?}, without a limit: {alone:.0} Mb/s alone, {beside:.0} Mb/s beside \
             {limited:.1?} of {limit} Mb/s"
        );
        println!("{line}");
        // They share two processors, which the limited one uses, too.
        let hold = limited.iter().all(|l| holds(*l, limit));
        if !(beside > 0.7 * alone && beside > 3.0 * limit && hold) {
            failed.push(line);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");

    // Another speed for a running flow: neither it nor the session ends.
    let interface = interface_number();
    let flow = measure(&phone.namespace, 5201, Direction::Down, 1, 9);
    std::thread::sleep(Duration::from_millis(3500));
    let faster = TestPlan { down: "40", ..SLOW };
    change_plan(&mut panel, "personal", faster);
    let seconds = flow.seconds();
    println!("20, then 40 Mb/s, by second: {seconds:.1?}");
    let (before, after) = (&seconds[..3], &seconds[seconds.len() - 3..]);
    let mean = |s: &[f64]| s.iter().sum::<f64>() / 3.0;
    assert!(holds(mean(before), 20.0) && holds(mean(after), 40.0));
    assert_eq!(interface_number(), interface, "the same tunnel");

    // Without a limit again, and with one again after a restart of the server.
    change_plan(&mut panel, "personal", TestPlan::UNLIMITED);
    eventually("the queues are gone", || !has_queue());
    let free = measure(&phone.namespace, 5201, Direction::Down, 1, 3).mbps();
    println!("without a limit: {free:.0} Mb/s");
    assert!(free > 60.0, "{free}");
    change_plan(&mut panel, "personal", SLOW);
    eventually("the queues are there", has_queue);
    stack.kill_and_restart();
    let measured = measure(&phone.namespace, 5201, Direction::Down, 1, 4).mbps();
    println!("20 Mb/s Down after a SIGKILL of the server: {measured:.2} Mb/s");
    assert!(holds(measured, 20.0), "{measured}");
}

/// Returns the number of the first tenant's interface, which a new one would not have.
fn interface_number() -> String {
    let link = run_here(&["ip", "-o", "link", "show", "dev", "wg1"]);
    link.split(':').next().unwrap_or_default().to_owned()
}

/// Returns whether the first tenant's interface has a queue with a rate.
fn has_queue() -> bool {
    run_here(&["tc", "qdisc", "show", "dev", "wg1"]).contains("tbf")
}
