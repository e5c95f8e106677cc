//! A full table: how long reading it takes, how much CPU, and how much memory.

use crate::{
    counts,
    made::{Made, make},
    run,
};
use conntrack::Conntrack;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use provisioning::ports::Connections;
use std::time::Instant;
use testkit::namespace::Namespace;

/// Nearly `nf_conntrack_max`, which is 262,144 by default.
const ENTRIES: u32 = 260_000;
const TENANTS: u32 = 200;

/// Runs `work`, and prints and returns the memory that it took at most, in bytes.
fn measured<T>(what: &str, work: impl FnOnce() -> T) -> (T, u64) {
    let cpu = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        (usage.user_time() + usage.system_time()).num_milliseconds()
    };
    // "5" resets the peak (proc_pid_clear_refs(5)).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (memory, began, before) = (status("VmRSS:"), Instant::now(), cpu());
    let result = work();
    let peak = status("VmHWM:").saturating_sub(memory);
    let (took, cpu) = (began.elapsed(), cpu() - before);
    println!(
        "{what}: {took:?}, {cpu} ms of CPU, {} KiB more memory",
        peak >> 10
    );
    (result, peak)
}

fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn a_full_table_is_read_in_constant_memory() {
    let ns = Namespace::new();
    let entries = (0..ENTRIES).map(|n| {
        let [_, _, high, low] = (n / TENANTS).to_be_bytes();
        Made {
            protocol: 17,
            source: [10, 88, (1 + n % TENANTS) as u8, 2],
            destination: [198, 51, high, low],
            port: 7,
        }
    });
    make(&ns, entries.collect());
    let each = u64::from(ENTRIES / TENANTS);

    let (all, memory) = measured("260,000 entries counted", || counts(&ns));
    assert_eq!(all.len() as u32, TENANTS);
    assert!(all.values().all(|n| *n == each), "{all:?}");
    assert!(memory < 8 << 20, "{memory} bytes");

    let (ended, memory) = measured("1,300 of 260,000 ended", || {
        run(&ns, || async {
            Conntrack
                .end(&["10.88.7.0/24".parse().unwrap()].into())
                .await
        })
    });
    assert_eq!(ended.unwrap(), each);
    assert!(memory < 8 << 20, "{memory} bytes");
    assert_eq!(counts(&ns).len() as u32, TENANTS - 1);

    let (ended, memory) = measured("all ended", || {
        run(&ns, || async {
            Conntrack
                .end(&["10.88.0.0/14".parse().unwrap()].into())
                .await
        })
    });
    assert_eq!(ended.unwrap(), u64::from(ENTRIES) - each);
    assert!(memory < 8 << 20, "{memory} bytes");
    assert!(counts(&ns).is_empty());
}
