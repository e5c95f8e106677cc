//! What passes above a small month of data at 200 Mb/s and more, counted by the product,
//! at the tunnel's interface, and by the device's own WireGuard.

use super::quota::{counted, state};
use crate::{
    exclusive_bed, internet,
    netns::{self, at, open_stream},
    stack::{Device, ServerOptions, Stack, TestPlan, change_plan, operator},
};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// 400 MB at 200 Mb/s are used up in 16 s.
const FAST: TestPlan = TestPlan {
    down: "200",
    up: "200",
    data: "400",
    at_limit: "stop",
    slow: "1",
};
const LIMIT_BYTES: u64 = 400_000_000;
/// The port outside from which a device downloads.
const BULK: u16 = 7_310;

/// Returns the bytes that have passed the first tenant's tunnel, both ways.
fn passed() -> u64 {
    let of = |counter: &str| -> u64 {
        let path = format!("/sys/class/net/wg1/statistics/{counter}");
        let text = fs::read_to_string(path).expect("the tunnel is there");
        text.trim().parse().expect("a number")
    };
    of("rx_bytes") + of("tx_bytes")
}

/// Returns the bytes that the device's WireGuard has sent and received.
fn seen_by(device: &Device) -> u64 {
    let shown = netns::run(
        &device.namespace,
        &["wg", "show", &device.interface, "transfer"],
    );
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let numbers = text.split_whitespace().skip(1);
    numbers.map(|n| n.parse::<u64>().expect("a number")).sum()
}

/// Downloads until nothing arrives any more, and returns the Mb/s on the way.
fn use_up(device: &Device) -> f64 {
    let begun = Instant::now();
    let from = passed();
    let flows: Vec<_> = (0..2)
        .map(|_| {
            let stream = open_stream(&device.namespace, at(internet(), BULK)).expect("it begins");
            thread::spawn(|| netns::read_all(stream))
        })
        .collect();
    let (mut last, mut moved) = (from, begun);
    while last == from || moved.elapsed() < Duration::from_secs(1) {
        assert!(begun.elapsed() < Duration::from_secs(90), "{last} bytes");
        thread::sleep(Duration::from_millis(10));
        let now = passed();
        // What is dropped on its way to the tunnel does not count, and a retry is small.
        if now > last + 10_000 {
            (last, moved) = (now, Instant::now());
        }
    }
    flows.into_iter().for_each(|f| drop(f.join()));
    #[expect(clippy::cast_precision_loss, reason = "some MB")]
    let megabits = (last - from) as f64 * 8.0 / 1e6;
    megabits / (moved - begun).as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "some MB")]
fn percent(part: u64) -> f64 {
    part as f64 * 100.0 / LIMIT_BYTES as f64
}

#[test]
fn little_passes_above_a_small_limit_at_high_speed() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("overshoot"));
    stack.wait_for_answer();
    netns::serve_bulk(&netns::var("MALIKNODE_BED_WAN"), BULK);
    let mut panel = operator(&stack);
    change_plan(&mut panel, "personal", FAST);
    let mut alice = stack.sign_up_with_plan("alice", "personal");
    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    let unshaped = TestPlan {
        down: "",
        up: "",
        ..FAST
    };
    let mut failed = vec![];
    for (what, plan) in [("200 Mb/s", FAST), ("no speed limit", unshaped)] {
        stack.execute("update tenant_traffic set period_bytes = 0");
        change_plan(&mut panel, "personal", plan);
        let before = (passed(), seen_by(&phone));
        let mbps = use_up(&phone);
        // The regular reading has what passed last.
        thread::sleep(Duration::from_secs(11));
        let used = counted(&stack);
        let (at_interface, by_peer) = (passed() - before.0, seen_by(&phone) - before.1);
        let over = percent(used.saturating_sub(LIMIT_BYTES));
        let line = format!(
            "{what}: stopped at {mbps:.0} Mb/s after {used} bytes, {over:.2} % above; the \
             interface passed {at_interface}, the device's WireGuard counts {by_peer}"
        );
        println!("{line}");
        assert_eq!(state(&stack), "stopped", "{line}");
        // Nothing passes uncounted; what is lost on the way to the device counts.
        let is_counted = used >= at_interface && used * 101 >= by_peer * 100;
        // The aim is 1 % at 200 Mb/s, and more at a higher speed, in proportion. It is
        // printed: on a busy machine, the reading that ends the month is late.
        let allowed = 4.0 * (mbps / 200.0).max(1.0);
        if !(used >= LIMIT_BYTES && over < allowed && is_counted) {
            failed.push(line.clone());
        }
        if percent(at_interface.saturating_sub(LIMIT_BYTES)) >= allowed {
            failed.push(line);
        }
        let more = TestPlan {
            data: "900000",
            ..plan
        };
        change_plan(&mut panel, "personal", more);
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
