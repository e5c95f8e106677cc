//! Single entries: every protocol, ids, and the settings of the kernel.

use crate::{
    counts,
    made::{Made, make, make_ipv6, with_id},
    run,
};
use conntrack::{Conntrack, KernelLimits, table::Deletions, wire::Entry};
use domain::{AddressPlan, Ipv6Prefix, Message};
use provisioning::ports::Connections;
use std::time::Duration;
use testkit::namespace::Namespace;

const ALICE: [u8; 4] = [10, 88, 1, 2];
const OUTSIDE: [u8; 4] = [198, 51, 100, 2];

fn made(protocol: u8, source: [u8; 4], port: u16) -> Made {
    Made {
        protocol,
        source,
        destination: OUTSIDE,
        port,
    }
}

#[test]
fn every_protocol_ends() {
    let ns = Namespace::new();
    // TCP, UDP, and three without ports: ESP, IPIP, L2TP.
    let all: Vec<Made> = [6, 17, 50, 4, 115]
        .iter()
        .map(|p| made(*p, ALICE, 7))
        .collect();
    make(&ns, all.clone());
    assert_eq!(counts(&ns), [(1, all.len() as u64)].into());
    let ended = run(&ns, || async {
        Conntrack
            .end(&["10.88.1.2/32".parse().unwrap()].into())
            .await
    });
    assert_eq!(ended.unwrap(), all.len() as u64);
    assert!(counts(&ns).is_empty());
}

#[test]
fn an_entry_with_another_id_stays() {
    let ns = Namespace::new();
    let entry = made(17, ALICE, 7);
    make(&ns, vec![entry]);
    let deleted = ns.run(move || {
        let body = with_id(entry.body(), 1);
        let mut deletions = Deletions::open().unwrap();
        deletions.add(&Entry::parse(&body).unwrap()).unwrap();
        deletions.finish().unwrap()
    });
    assert_eq!(deleted, 0);
    assert_eq!(counts(&ns), [(1, 1)].into());
}

#[test]
fn nothing_is_ended_without_networks() {
    let ns = Namespace::new();
    make(&ns, vec![made(17, ALICE, 7)]);
    let ended = run(&ns, || async { Conntrack.end(&[].into()).await });
    let swept = run(&ns, || async { Conntrack.sweep(&[], &[].into()).await });
    assert_eq!((ended.unwrap(), swept.unwrap()), (0, 0));
    assert_eq!(counts(&ns), [(1, 1)].into());
}

#[test]
fn a_sweep_leaves_what_is_held() {
    let ns = Namespace::new();
    let container = [10, 92, 1, 2];
    let mut all = vec![
        made(17, ALICE, 7),
        made(17, [10, 88, 2, 2], 7),
        made(17, container, 7),
        // Of the host itself.
        made(17, [198, 51, 100, 1], 7),
    ];
    // A device asked a container that is not its tenant's any more.
    all.push(Made {
        destination: container,
        ..made(17, ALICE, 8)
    });
    make(&ns, all);
    let swept = run(&ns, || async {
        let ranges = [
            "10.88.0.0/14".parse().unwrap(),
            "10.92.0.0/21".parse().unwrap(),
        ];
        Conntrack.sweep(&ranges, &[ALICE.into()].into()).await
    });
    assert_eq!(swept.unwrap(), 3);
    assert_eq!(counts(&ns), [(1, 1)].into());
    let again = run(&ns, || async {
        Conntrack
            .end(&["198.51.100.0/24".parse().unwrap()].into())
            .await
    });
    assert_eq!(again.unwrap(), 2, "alice's, and the host's own");
}

#[test]
fn what_ends_of_a_device_ends_of_its_ipv6_too() {
    const OUTSIDE6: &str = "2001:db8::80";
    let ns = Namespace::new();
    let prefix = Ipv6Prefix::from_random([1, 2, 3, 4, 5]);
    Conntrack.use_ipv6(prefix, &AddressPlan::default());
    make(&ns, vec![made(17, ALICE, 7)]);
    for source in [
        "fd01:203:405:1::2",
        "fd01:203:405:1::3",
        "fd01:203:405:2::2",
    ] {
        make_ipv6(&ns, source, OUTSIDE6);
    }
    // Of another network, with the same ending.
    make_ipv6(&ns, "fd01:203:406:1::2", OUTSIDE6);
    assert_eq!(counts(&ns), [(1, 3), (2, 1)].into());
    let end = |net: &'static str| {
        let networks = [net.parse().unwrap()].into();
        run(&ns, move || async move { Conntrack.end(&networks).await }).unwrap()
    };
    assert_eq!(end("10.88.1.2/32"), 2, "of both families");
    assert_eq!(counts(&ns), [(1, 1), (2, 1)].into());
    let swept = run(&ns, || async {
        let ranges = ["10.88.0.0/14".parse().unwrap()];
        Conntrack
            .sweep(&ranges, &[[10, 88, 2, 2].into()].into())
            .await
    });
    assert_eq!(swept.unwrap(), 1, "whose holder is unknown");
    assert_eq!(counts(&ns), [(2, 1)].into());
    assert_eq!(end("0.0.0.0/0"), 2, "the other network's is still there");
}

/// In a namespace that is not the first one the kernel's limit cannot be written, but
/// the timeouts can.
#[test]
fn timeouts_are_shortened_and_a_refusal_is_reported() {
    let ns = Namespace::new();
    let limits = KernelLimits {
        per_tenant: 1_000_000,
        established: Duration::from_secs(7440),
        memory: 1 << 30,
    };
    let enough = KernelLimits {
        per_tenant: 1000,
        memory: 64 << 30,
        ..limits
    };
    let before = ns.run(move || limits.read()).unwrap();
    let long = |name: &str| before.long_timeouts.iter().any(|(n, _)| n.ends_with(name));
    assert!(
        long("tcp_timeout_established") && long("generic_timeout"),
        "{before:?}"
    );
    assert_eq!((before.entries, before.wanted_max), (0, 16_000_000));
    let refused = ns.run(move || limits.apply());
    let names: Vec<_> = refused
        .iter()
        .map(|r| r.path.file_name().unwrap())
        .collect();
    assert_eq!(names, ["nf_conntrack_max"], "{refused:?}");
    let after = ns.run(move || limits.read()).unwrap();
    assert!(after.long_timeouts.is_empty(), "{after:?}");
    assert_eq!(after.max, before.max);
    let refused = ns.run(move || enough.apply());
    assert!(refused.is_empty(), "the table is large enough: {refused:?}");
}

/// Without CAP_NET_ADMIN: this test runs itself again, by setpriv(1).
#[test]
fn a_caller_without_rights_gets_a_message() {
    const ROLE: &str = "CONNTRACK_TEST_WITHOUT_RIGHTS";
    if std::env::var_os(ROLE).is_some() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let networks = ["10.88.1.0/24".parse().unwrap()].into();
        let refused = runtime.build().unwrap().block_on(Conntrack.end(&networks));
        assert_eq!(
            refused.unwrap_err().message,
            Message::ConnectionsNotPermitted
        );
        return;
    }
    let output = std::process::Command::new("setpriv")
        .args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "entries::a_caller_without_rights_gets_a_message"])
        .env(ROLE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
