//! Tests of what is made, read and removed.

use crate::bed::{Bed, mbps, runtime, slot};
use domain::{ErrorCode, Message};
use futures_util::StreamExt;
use protocol::SpeedLimits;
use provisioning::ports::Shaping;
use std::{sync::mpsc, time::Duration};

#[test]
fn limits_are_read_to_the_bit() {
    let bed = Bed::new();
    assert!(bed.observe().is_empty());
    for (down, up) in [
        (Some(64_000), Some(10_000_000_000_000)),
        (Some(50_000_003), None),
        (None, Some(1_234_567)),
        (Some(10_000_000_000_000), Some(64_007)),
    ] {
        let limits = SpeedLimits {
            down_bps: down,
            up_bps: up,
        };
        bed.apply(1, limits);
        let observed = bed.observe();
        assert_eq!(observed.len(), 1);
        assert_eq!(observed[&slot(1)].limits, limits);
        assert!(observed[&slot(1)].intact, "{limits:?}: {}", bed.listing());
    }
}

#[test]
fn removing_limits_leaves_nothing() {
    let bed = Bed::new();
    let before = bed.listing();
    bed.apply(1, mbps(50, 50));
    bed.apply(2, mbps(5, 5));
    bed.apply(1, mbps(0, 0));
    assert_eq!(bed.observe().into_keys().collect::<Vec<_>>(), [slot(2)]);
    bed.apply(2, mbps(0, 0));
    bed.apply(2, mbps(0, 0));
    assert!(bed.observe().is_empty());
    assert_eq!(bed.listing(), before);
}

#[test]
fn applying_again_changes_nothing() {
    let bed = Bed::new();
    bed.apply(1, mbps(50, 5));
    let listing = bed.listing();
    let observed = bed.observe();
    bed.apply(1, mbps(50, 5));
    // By a process that knows nothing of the first one.
    let other = shaping::Tc::new();
    bed.host.run(move || {
        runtime()
            .block_on(other.apply(slot(1), &mbps(50, 5)))
            .unwrap();
    });
    assert_eq!((bed.listing(), bed.observe()), (listing, observed));
}

#[test]
fn external_changes_are_read_and_fixed() {
    let bed = Bed::new();
    let limits = mbps(50, 5);
    bed.apply(1, limits);
    bed.apply(2, limits);
    for change in [
        "tc qdisc del dev wg1 root",
        "tc qdisc del dev wg1 ingress",
        "tc filter del dev wg1 ingress pref 19776",
        "tc qdisc replace dev wg1 root handle 1: bfifo limit 10000",
        "tc qdisc change dev wg1 root handle 4d40: tbf rate 6250000bps burst 2000 limit 312500",
        "tc qdisc change dev wg1 root handle 4d40: tbf rate 50gbit burst 25000 limit 312500",
        "tc qdisc del dev mnup1 root",
        "ip link set mnup1 down",
        "ip link del mnup1",
    ] {
        bed.host.tool(change);
        let observed = bed.observe();
        let whole = observed
            .get(&slot(1))
            .is_some_and(|o| o.intact && o.limits == limits);
        assert!(!whole, "{change}: {observed:?}");
        assert!(observed[&slot(2)].intact, "{change}");
        bed.apply(1, limits);
        let observed = bed.observe();
        let now = &observed[&slot(1)];
        assert!(
            now.intact && now.limits == limits,
            "after {change}: {now:?} {}",
            bed.listing()
        );
        let ping = bed.alice.tool("ping -q -c 1 -W 2 198.51.100.2");
        assert!(ping.contains(" 0% packet loss"), "after {change}");
    }
    // An ifb that was left without its interface is found, and can be removed.
    bed.host.tool("ip link add mnup77 type ifb");
    assert!(!bed.observe()[&slot(77)].intact);
    bed.apply(77, mbps(0, 0));
    assert_eq!(bed.observe().len(), 2);
}

#[test]
fn fq_codel_is_below_where_the_kernel_has_it() {
    let bed = Bed::new();
    let probe = bed.host.output("tc qdisc add dev lo root fq_codel");
    let has = probe.join().unwrap().status.success();
    println!("this kernel has fq_codel: {has}");
    let is_below = || {
        ["wg1", "mnup1"].map(|device| {
            let shown = bed.host.tool(&format!("tc qdisc show dev {device}"));
            shown.contains("qdisc fq_codel 4d50: parent 4d4")
        })
    };
    bed.apply(1, mbps(50, 50));
    assert_eq!(is_below(), [has; 2]);
    assert!(bed.observe()[&slot(1)].intact);
    // Also below a token bucket that replaces another.
    bed.apply(1, mbps(5, 5));
    assert_eq!(is_below(), [has; 2]);
    if has {
        bed.host.tool("tc qdisc del dev mnup1 parent 4d48:1");
        assert!(!bed.observe()[&slot(1)].intact);
        bed.apply(1, mbps(5, 5));
        assert_eq!(is_below(), [true; 2]);
    }
    assert!(bed.observe()[&slot(1)].intact);
}

#[test]
fn filters_of_others_stay() {
    let bed = Bed::new();
    bed.host.tool("tc qdisc add dev wg1 ingress");
    bed.host.tool("tc filter add dev wg1 ingress protocol ip pref 5 u32 match ip dst 192.0.2.1 action mirred egress redirect dev wan0");
    let before = bed.listing();
    bed.apply(1, mbps(5, 5));
    assert!(bed.observe()[&slot(1)].intact);
    bed.apply(1, mbps(0, 0));
    assert_eq!(bed.listing(), before);
    assert!(bed.observe().is_empty());
}

#[test]
fn an_interface_that_is_gone_can_be_cleared() {
    let bed = Bed::new();
    bed.apply(1, mbps(5, 5));
    bed.host.tool("ip link del wg1");
    let observed = bed.observe();
    assert!(!observed[&slot(1)].intact);
    let error = bed.try_apply(1, mbps(5, 5)).unwrap_err();
    let interface = "wg1".to_owned();
    assert_eq!(error.message, Message::ShapingInterfaceGone { interface });
    bed.apply(1, mbps(0, 0));
    assert!(bed.observe().is_empty());
    // An interface of the same name begins without limits, and gets them.
    bed.tunnel(1);
    bed.apply(1, mbps(5, 5));
    assert!(bed.observe()[&slot(1)].intact);
    // Its removal and creation between two readings is no damage that stays.
    bed.host.tool("ip link del wg1");
    bed.tunnel(1);
    bed.apply(1, mbps(5, 5));
    assert!(bed.observe()[&slot(1)].intact);
}

#[test]
fn limits_that_cannot_be_set_change_nothing() {
    let bed = Bed::new();
    bed.apply(1, mbps(50, 50));
    let before = bed.listing();
    for bps in [0, 63_999, 10_000_000_000_001, u64::MAX] {
        let limits = SpeedLimits {
            down_bps: Some(5_000_000),
            up_bps: Some(bps),
        };
        let error = bed.try_apply(1, limits).unwrap_err();
        assert_eq!(error.code, ErrorCode::ShapingUnavailable);
        assert!(matches!(error.message, Message::SpeedOutOfRange { .. }));
    }
    // A link that is not ours has the ifb's name.
    bed.host.tool("ip link add mnup2 type veth peer name other");
    let unlimited = bed.listing();
    let error = bed.try_apply(2, mbps(5, 5)).unwrap_err();
    assert_eq!(error.code, ErrorCode::NameForeign);
    assert_eq!(bed.listing(), unlimited);
    bed.host.tool("ip link del mnup2");
    // The kernel refuses a part after the ifb was made, because another program has our
    // handle elsewhere: the whole is undone.
    for foreign in [
        "tc qdisc add dev wg2 root handle 1: htb default 1",
        "tc class add dev wg2 parent 1: classid 1:1 htb rate 1mbit",
        "tc qdisc add dev wg2 parent 1:1 handle 4d40: bfifo",
    ] {
        bed.host.tool(foreign);
    }
    let foreign = bed.listing();
    let error = bed.try_apply(2, mbps(5, 5)).unwrap_err();
    let program = "tc".to_owned();
    assert_eq!(error.message, Message::ShapingRefused { program });
    assert_eq!(bed.listing(), foreign);
    let first = |listing: &str| listing.lines().filter(|l| l.contains("wg1")).count();
    assert_eq!(first(&bed.listing()), first(&before));
}

#[test]
fn only_external_changes_are_events() {
    let bed = Bed::new();
    bed.apply(1, mbps(50, 50));
    let (tc, (ready, start), (sender, reports)) =
        (bed.tc.clone(), mpsc::channel(), mpsc::channel());
    bed.host.start(move || {
        runtime().block_on(async move {
            let mut events = tc.events();
            // The stream listens from its first poll on at the latest.
            let first = events.next();
            ready.send(()).unwrap();
            first.await;
            sender.send(()).unwrap();
            while events.next().await.is_some() && sender.send(()).is_ok() {}
        });
    });
    start.recv().unwrap();
    let event = |seconds| reports.recv_timeout(Duration::from_secs(seconds)).is_ok();
    bed.apply(1, mbps(5, 5));
    bed.apply(2, mbps(5, 5));
    bed.apply(2, mbps(0, 0));
    assert!(!event(1), "a change of ours is reported");
    for change in [
        "tc qdisc del dev wg1 root",
        "tc filter del dev wg1 ingress pref 19776",
        "ip link set mnup1 down",
        "ip link del mnup1",
        "ip link del wg1",
    ] {
        bed.host.tool(change);
        assert!(event(5), "{change}");
        while event(1) {}
    }
}
