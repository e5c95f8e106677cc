//! What a thousand slots cost.

use crate::bed::{Bed, mbps, slot};
use nix::sys::resource::{UsageWho, getrusage};
use std::{fmt::Write as _, time::Instant};

const SLOTS: u16 = 1000;

/// Returns the processor time of this process and of the programs it ran, in ms.
fn cpu_ms() -> i64 {
    let of = |who| {
        let usage = getrusage(who).unwrap();
        let times = [usage.user_time(), usage.system_time()];
        times
            .iter()
            .map(|t| t.tv_sec() * 1000 + t.tv_usec() / 1000)
            .sum::<i64>()
    };
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}

fn measure<T>(what: &str, calls: u16, work: impl FnOnce() -> T) -> T {
    let (start, cpu) = (Instant::now(), cpu_ms());
    let result = work();
    let (time, cpu) = (start.elapsed().as_millis(), cpu_ms() - cpu);
    println!("{what}: {time} ms, {cpu} ms of processor time, {calls} calls");
    result
}

#[test]
fn a_thousand_slots_are_read_together() {
    let bed = Bed::new();
    let mut links = String::new();
    for n in 3..=SLOTS {
        let _ = writeln!(links, "link add wg{n} type veth peer name p{n}");
        let _ = writeln!(links, "link set wg{n} up");
    }
    bed.host.run(move || {
        let file = std::env::temp_dir().join(format!("shaping-{}.batch", std::process::id()));
        std::fs::write(&file, links).unwrap();
        let mut ip = std::process::Command::new("ip");
        assert!(ip.arg("-batch").arg(&file).status().unwrap().success());
        std::fs::remove_file(file).unwrap();
    });
    measure("reading 1,000 slots without limits", 1, || bed.observe());
    measure("limiting 1,000 slots", SLOTS, || {
        (1..=SLOTS).for_each(|n| bed.apply(n, mbps(50, 10)));
    });
    let all = measure("reading 1,000 limited slots", 1, || bed.observe());
    assert_eq!(all.len(), usize::from(SLOTS));
    assert!(all.values().all(|o| o.intact && o.limits == mbps(50, 10)));
    let again = measure("reading again", 10, || {
        (0..9).for_each(|_| drop(bed.observe()));
        bed.observe()
    });
    assert_eq!(again, all);
    bed.host.tool("tc qdisc del dev wg500 ingress");
    let changed = bed.observe();
    assert!(!changed[&slot(500)].intact);
    assert_eq!(changed.values().filter(|o| o.intact).count(), 999);
    measure("changing one slot of 1,000", 1, || {
        bed.apply(7, mbps(20, 5))
    });
    measure("removing 1,000 limits", SLOTS, || {
        (1..=SLOTS).for_each(|n| bed.apply(n, mbps(0, 0)));
    });
    assert!(bed.observe().is_empty());
}
