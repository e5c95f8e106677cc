//! Tests of what one tenant leaves to the others: connections, source ports, DNS.

use crate::{
    bed::{Bed, Namespace, send},
    fixture::{TestFirewall, served, stopped, tenant},
};
use firewall::{FirewallLimits, FirewallSettings};
use std::{
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

const ALICE: [u8; 4] = [10, 88, 1, 2];
const ALLY: [u8; 4] = [10, 88, 1, 3];
const SERVER: [u8; 4] = [203, 0, 113, 80];

/// Sends an empty UDP datagram to the server from each port, 1..=`last`.
fn flood(ns: &Namespace, source: [u8; 4], port: u16, last: u16) {
    let datagram = |from: u16| {
        let mut d = from.to_be_bytes().to_vec();
        d.extend(port.to_be_bytes());
        d.extend([0, 8, 0, 0]);
        d
    };
    ns.send_raw(source, SERVER, 17, (1..=last).map(datagram).collect());
}

/// Returns the number of connections in the host's table.
fn connections(bed: &Bed) -> u32 {
    bed.host
        .run(|| std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count"))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

fn settings(change: impl FnOnce(&mut FirewallLimits)) -> FirewallSettings {
    let mut settings = FirewallSettings::default();
    change(&mut settings.limits);
    settings
}

/// Without the limits on new connections per second.
fn unhurried(limits: &mut FirewallLimits) {
    limits.new_per_device = 100_000;
    limits.new_per_tenant = 100_000;
}

/// Returns how many of 20 new flows of another tenant to the server are answered.
fn answered(bed: &Bed, probe: &str) -> usize {
    let answers = bed.bob.probe(&[probe; 20]);
    answers.iter().flatten().count()
}

#[test]
fn one_device_leaves_a_destination_to_others() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    let start = Instant::now();
    flood(&bed.alice, ALICE, 443, u16::MAX);
    eprintln!("65,535 datagrams: {:?}", start.elapsed());
    assert_eq!(answered(&bed, "udp 203.0.113.80:443"), 20);
    assert_eq!(answered(&bed, "tcp 203.0.113.80:443"), 20);
    // Ten seconds' worth at once, and what was added meanwhile.
    let open = connections(&bed);
    assert!((1_500..2_500).contains(&open), "{open}");
    // The device's own tenant works as well.
    assert!(bed.ally.ask("udp 203.0.113.80:443").is_some());
    // Without the limits the same packets lock the others out.
    bed.host
        .command("nft", "flush chain inet maliknode_limits forward");
    flood(&bed.alice, ALICE, 443, u16::MAX);
    let left = answered(&bed, "udp 203.0.113.80:443");
    assert!(left < 5, "{left} of 20");
}

#[test]
fn connections_are_limited_per_device() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, settings(unhurried));
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[])]);
    for port in [443, 9] {
        flood(&bed.alice, ALICE, port, 6_000);
        let open = connections(&bed);
        assert!((2_000..2_050).contains(&open), "{open}");
    }
    // Mesh and the world count together.
    assert_eq!(bed.alice.ask("udp 10.88.1.3:9000"), None);
    assert_eq!(bed.alice.ask("tcp 203.0.113.80:443"), None);
    // DNS and other devices have a share of their own.
    assert!(bed.alice.ask("udp 10.88.1.1:53").is_some());
    assert!(bed.ally.ask("tcp 203.0.113.80:443").is_some());
    assert_eq!(answered(&bed, "udp 203.0.113.80:443"), 20);
}

#[test]
fn connections_are_limited_per_tenant_and_destination() {
    let bed = served();
    let limits = settings(|l| {
        unhurried(l);
        l.connections_per_device = 65_536;
    });
    let firewall = TestFirewall::new(&bed.host, limits);
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    // A destination is an address and a port, for all devices of a tenant together.
    flood(&bed.alice, ALICE, 443, 6_000);
    flood(&bed.ally, ALLY, 443, 6_000);
    let open = connections(&bed);
    assert!((4_000..4_050).contains(&open), "{open}");
    assert_eq!(answered(&bed, "udp 203.0.113.80:443"), 20);
    for port in [1, 2, 3, 4, 5, 6] {
        flood(&bed.alice, ALICE, port, 6_000);
    }
    let open = connections(&bed);
    assert!((16_000..16_100).contains(&open), "{open}");
    assert_eq!(answered(&bed, "tcp 203.0.113.80:443"), 20);
    assert!(bed.ally.ask("udp 10.88.1.1:53").is_some());
}

#[test]
fn packets_of_a_known_flow_are_not_counted() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[])]);
    bed.internet.count("oneway", "udp dport 9");
    // The flow has no answers, so it stays new to the kernel.
    let datagrams = vec![vec![0x30, 0x39, 0, 9, 0, 8, 0, 0]; 20_000];
    bed.alice.send_raw(ALICE, SERVER, 17, datagrams);
    assert_eq!(bed.internet.counted("oneway"), 20_000);
    assert!(bed.alice.ask("udp 203.0.113.80:443").is_some());
}

/// Opens the socket 203.0.113.80:7000 of the internet.
fn peer(bed: &Bed) -> UdpSocket {
    let bind = || UdpSocket::bind("203.0.113.80:7000").unwrap();
    let peer = bed.internet.run(bind);
    peer.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    peer
}

/// Sends a datagram from a port of `ns` to the peer and returns the address that the
/// peer sees.
fn seen_from(peer: &UdpSocket, ns: &Namespace, port: u16) -> SocketAddr {
    ns.run(move || {
        let socket = UdpSocket::bind(("0.0.0.0", port)).unwrap();
        socket.send_to(b"hello", "203.0.113.80:7000").unwrap();
    });
    peer.recv_from(&mut [0; 16]).unwrap().1
}

#[test]
fn tenants_never_use_ports_of_wireguard_or_containers() {
    let bed = Bed::new();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    let peer = peer(&bed);
    for port in [22, 53, 443, 51_800, 51_822, 52_800, 53_000, 65_535] {
        let seen = seen_from(&peer, &bed.alice, port);
        assert_eq!(seen.ip().to_string(), "198.51.100.1");
        assert!((10_240..=51_799).contains(&seen.port()), "{port}: {seen}");
        let seen = seen_from(&peer, &bed.container1, port);
        assert!((52_801..=65_535).contains(&seen.port()), "{port}: {seen}");
    }
    // A free port in the range is kept.
    assert_eq!(seen_from(&peer, &bed.alice, 40_000).port(), 40_000);
    // What the peer sends to WireGuard's port reaches the host and no device.
    let wireguard = bed.host.run(|| UdpSocket::bind("0.0.0.0:51822").unwrap());
    wireguard
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    peer.send_to(b"handshake", "198.51.100.1:51822").unwrap();
    assert_eq!(wireguard.recv_from(&mut [0; 16]).unwrap().0, 9);
}

/// Sends queries from one socket as fast as possible.
fn query(ns: &Namespace, gateway: &'static str, count: usize) {
    ns.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..count {
            socket.send_to(b"query", (gateway, 53)).unwrap();
        }
    });
}

#[test]
fn dns_is_limited_per_device() {
    let bed = Bed::new();
    bed.container1.serve("0.0.0.0", 53);
    bed.container1.count("queries", "udp dport 53");
    bed.container2.serve("0.0.0.0", 53);
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    query(&bed.alice, "10.88.1.1", 5_000);
    let arrived = bed.container1.counted("queries");
    assert!((500..700).contains(&arrived), "{arrived} of 5,000");
    assert!(bed.ally.ask("udp 10.88.1.1:53").is_some());
    assert!(bed.bob.ask("udp 10.88.2.1:53").is_some());
    // Queries are answered again after some time.
    std::thread::sleep(Duration::from_millis(1_200));
    assert!(bed.alice.ask("udp 10.88.1.1:53").is_some());
    // A connection that carries many queries is slowed down as well.
    let mut flow = bed.bob.run(|| TcpStream::connect("10.88.2.1:53").unwrap());
    assert!(send(&mut flow, "hello").is_some());
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < Duration::from_secs(3) {
        bytes += send(&mut flow, &"q".repeat(1_400)).map_or(0, |answer| answer.len());
    }
    assert!(bytes < 400_000, "{bytes} bytes in 3 s");
}

#[test]
fn a_stopped_tenant_keeps_dns_and_mesh() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[2])]);
    let mut flow = bed
        .alice
        .run(|| TcpStream::connect("203.0.113.80:443").unwrap());
    assert_eq!(send(&mut flow, "hello").as_deref(), Some("198.51.100.1"));
    firewall.set(&stopped(1, &[2, 3]));
    assert!(firewall.observe().tenants[&tenant(1, &[]).slot].stopped);
    assert_eq!(send(&mut flow, "cut"), None);
    let out = [
        "tcp 203.0.113.80:443",
        "udp 203.0.113.80:443",
        "ping 203.0.113.80",
    ];
    assert_eq!(bed.alice.probe(&out), vec![None; out.len()]);
    let inside = [
        "udp 10.88.1.1:53",
        "tcp 10.88.1.1:53",
        "ping 10.88.1.1",
        "udp 10.88.1.3:9000",
        "tcp 10.88.1.3:9000",
    ];
    assert!(bed.alice.probe(&inside).iter().all(Option::is_some));
    assert_eq!(answered(&bed, "tcp 203.0.113.80:443"), 20);
    // DNS works where the fallback is outside, too.
    firewall.set(&provisioning::spec::FirewallTenant {
        dns: Some([203, 0, 113, 53].into()),
        ..stopped(1, &[2, 3])
    });
    assert!(bed.alice.ask("udp 10.88.1.1:53").is_some());
    firewall.set(&tenant(1, &[2, 3]));
    assert!(bed.alice.ask("tcp 203.0.113.80:443").is_some());
}

#[test]
fn nothing_more_arrives_at_a_stopped_tenant() {
    let bed = Bed::new();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[])]);
    bed.alice.count("stream", "udp sport 7000");
    let peer = peer(&bed);
    let device = seen_from(&peer, &bed.alice, 40_000);
    let stream = || peer.send_to(b"stream", device).unwrap();
    stream();
    assert_eq!(bed.alice.counted("stream"), 1);
    firewall.set(&stopped(1, &[]));
    stream();
    assert_eq!(bed.alice.counted("stream"), 1);
}

#[test]
fn a_flood_makes_no_reading_expensive() {
    let bed = Bed::new();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[])]);
    let timed = |name: &str| {
        bed.host.command("nft", "add table ip other");
        let start = Instant::now();
        assert!(firewall.observe().complete);
        let took = start.elapsed();
        eprintln!("reading {name}: {took:.1?}");
        bed.host.command("nft", "delete table ip other");
        took
    };
    timed("first");
    let before = timed("without elements of the kernel");
    for part in 0..10 {
        let list: Vec<_> = (0..5_000)
            .map(|n| format!("10.88.{}.{}", part * 20 + n / 250, n % 250 + 1))
            .collect();
        let elements = format!(
            "add element inet maliknode_limits dns_queries {{ {} }}",
            list.join(",")
        );
        bed.host.run(move || {
            let mut nft = std::process::Command::new("nft")
                .args(["-f", "-"])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = nft.stdin.take().unwrap();
            std::io::Write::write_all(&mut input, elements.as_bytes()).unwrap();
            drop(input);
            assert!(nft.wait().unwrap().success());
        });
    }
    let after = timed("with 50,000 elements of the kernel");
    assert!(after < before * 3 + Duration::from_millis(20));
}

/// Returns the remaining seconds of the host's connections that match all words.
fn remaining(bed: &Bed, words: &'static [&'static str]) -> Option<u32> {
    let table = bed
        .host
        .run(|| std::fs::read_to_string("/proc/thread-self/net/nf_conntrack"))
        .unwrap();
    let line = table
        .lines()
        .find(|line| words.iter().all(|word| line.contains(word)))?;
    line.split_whitespace().nth(4)?.parse().ok()
}

#[test]
fn connections_of_tenants_end_sooner() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[])]);
    let mut flow = bed
        .alice
        .run(|| TcpStream::connect("203.0.113.80:443").unwrap());
    assert!(send(&mut flow, "hello").is_some());
    let established = remaining(&bed, &["tcp", "ESTABLISHED", "src=10.88.1.2"]).unwrap();
    assert!((7_000..=7_440).contains(&established), "{established}");
    assert!(bed.alice.ask("udp 10.88.1.1:53").is_some());
    assert!(remaining(&bed, &["udp", "src=10.88.1.2", "dport=53"]).unwrap() <= 10);
    assert_eq!(bed.alice.ask("udp 203.0.113.80:9"), None);
    assert!(remaining(&bed, &["udp", "src=10.88.1.2", "dport=9 "]).unwrap() <= 20);
}
