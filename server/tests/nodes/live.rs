//! What a tenant's pages show of a device on a worker, live, and what is counted of it.

use crate::{
    cluster::{Cluster, shared_cluster},
    internet,
    netns::{self, at, open_stream},
    stack::{Device, wait_for},
    stream::EventStream,
    transfer::{self, BULK},
};
use serde_json::Value;
use std::{thread, time::Duration};

/// The longest time from a reading to the event that shows it: readings are 2 s apart
/// while a page shows them, and stored every 10 s.
const LIMIT: Duration = Duration::from_secs(25);

/// Returns the first device of the overview's event.
fn device(event: &Value) -> &Value {
    &event["network"]["devices"][0]
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// Returns the bytes of a tenant in the graphs: those of full buckets and of the one that
/// is not.
fn graph_rows(cluster: &Cluster, tenant: &str) -> u64 {
    let (id, _) = cluster.id_and_slot(tenant);
    let sql = format!("SELECT count(*) FROM traffic_ticks WHERE user_id = {id}");
    cluster.query(&sql).trim().parse().expect("a number")
}

/// Downloads at some MB a second for a while, and returns the bytes.
fn download(device: &Device, megabytes: u64) -> thread::JoinHandle<u64> {
    let stream = open_stream(&device.namespace, at(internet(), BULK)).expect("it begins");
    thread::spawn(move || transfer::read_slowly(stream, megabytes * 1_000_000))
}

#[test]
fn a_device_on_a_worker_is_shown_live_and_counted() {
    let mut cluster = shared_cluster();
    let mut alice = cluster.sign_up_on("w1", "live");
    let phone = cluster.add_device(&mut alice, 0, 0, "Phone", "everything");
    let (_, slot) = cluster.id_and_slot("live");
    transfer::serve();
    let mut events = EventStream::open(&alice, "/live/overview");
    let name = events.wait_for("the first event", LIMIT, |e| {
        Some(e["network"]["name"].clone())
    });
    assert_eq!(name, "live");

    let running = download(&phone, 16);
    let speed = events.wait_for("the speed of the device", LIMIT, |e| {
        let bps = number(&device(e)["down_bps"]);
        (bps > 5_000_000).then_some(bps)
    });
    events.wait_for("the speed in the chart", LIMIT, |e| {
        let samples = e["usage"]["speed"].as_array().expect("samples");
        let is_fast = |s: &Value| number(&s[1]) > 5_000_000;
        samples.iter().any(is_fast).then_some(())
    });
    let received = running.join().expect("the download ends");
    let total = events.wait_for("all of it, and no speed", LIMIT, |e| {
        let total = number(&device(e)["down_bytes"]);
        let is_idle = number(&device(e)["down_bps"]) < 100_000;
        (is_idle && total >= received).then_some(total)
    });
    assert!(
        total < received * 130 / 100,
        "{total} bytes are shown of {received}"
    );
    // The month has both directions, and is what has passed.
    let month = events.wait_for("the month's data", LIMIT, |e| {
        let month = number(&e["usage"]["month_bytes"]);
        let passed = transfer::passed(&cluster.workers[0].machine, slot);
        transfer::is_all_of(month, passed).then_some(month)
    });
    let stored = transfer::counted(&cluster, "live");
    assert!(
        stored.abs_diff(month) * 100 < month,
        "{stored} are stored, {month} are shown"
    );
    wait_for("the graphs have it", LIMIT, || {
        (graph_rows(&cluster, "live") > 0).then_some(())
    });
    println!("{:.0} Mb/s shown; {month} bytes counted", mbps(speed));

    // The tunnel goes on without the worker's process, and no speed is shown that is not
    // measured.
    let running = download(&phone, 24);
    events.wait_for("the speed of the device", LIMIT, |e| {
        (number(&device(e)["down_bps"]) > 5_000_000).then_some(())
    });
    cluster.workers[0].kill();
    events.wait_for("no speed is shown", LIMIT, |e| {
        (number(&device(e)["down_bps"]) == 0).then_some(())
    });
    let received_meanwhile = running.join().expect("the download ends");
    assert!(received_meanwhile >= 24_000_000, "the tunnel goes on");
    cluster.workers[0].start();
    events.wait_for("what passed meanwhile is counted", LIMIT, |e| {
        let month = number(&e["usage"]["month_bytes"]);
        let passed = transfer::passed(&cluster.workers[0].machine, slot);
        transfer::is_all_of(month, passed).then_some(())
    });
    // A second page, whose stream begins with the same.
    let mut second = EventStream::open(&alice, &format!("/live/devices/{}", phone.id));
    let shown = second.wait_for("the device's page", LIMIT, |e| {
        Some(number(&e["device"]["down_bytes"]))
    });
    assert!(shown >= received + received_meanwhile, "{shown}");
    assert!(netns::pings(&phone.namespace, alice.gateway));
}

#[expect(clippy::cast_precision_loss, reason = "some Mb/s")]
fn mbps(bps: u64) -> f64 {
    bps as f64 / 1e6
}
