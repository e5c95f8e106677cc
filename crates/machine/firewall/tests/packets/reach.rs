//! Tests of what tenants, containers and outsiders reach while nothing changes.

use crate::{
    bed::{Bed, Namespace},
    fixture::{TestFirewall, served, tenant},
};
use firewall::{FirewallLimits, FirewallSettings};
use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

/// Returns what the table forbids: each sender with the targets it must not reach.
fn forbidden(bed: &Bed) -> Vec<(&'static str, &Namespace, Vec<&'static str>)> {
    let outside = vec![
        "tcp 10.88.1.1:8080",
        "udp 10.88.1.1:8080",
        "ping 10.88.1.1",
        "tcp 10.88.1.2:9000",
        "udp 10.88.1.2:9000",
        "tcp 10.92.1.1:3000",
        "udp 10.92.1.1:53",
        "tcp 10.92.1.1:53",
    ];
    vec![
        (
            "a tenant",
            &bed.alice,
            vec![
                // its own gateway's other services
                "tcp 10.88.1.1:22",
                "tcp 10.88.1.1:8080",
                "udp 10.88.1.1:8080",
                // the other tenant's gateway and device
                "tcp 10.88.2.1:8080",
                "udp 10.88.2.1:8080",
                "ping 10.88.2.1",
                "tcp 10.88.2.2:9000",
                "udp 10.88.2.2:9000",
                "ping 10.88.2.2",
                // its own device outside the mesh
                "tcp 10.88.1.3:9000",
                "udp 10.88.1.3:9000",
                "ping 10.88.1.3",
                // containers, its own included
                "tcp 10.92.1.1:3000",
                "udp 10.92.1.1:53",
                "tcp 10.92.1.2:3000",
                "udp 10.92.1.2:53",
                // the host under its other addresses
                "tcp 198.51.100.1:8080",
                "udp 198.51.100.1:8080",
                "ping 198.51.100.1",
                "tcp 192.168.77.1:8080",
                "tcp 10.92.0.1:8080",
                // the LAN and metadata services
                "tcp 192.168.77.2:80",
                "udp 192.168.77.2:53",
                "ping 192.168.77.2",
                "tcp 169.254.169.254:80",
                "tcp 100.100.100.200:80",
                "tcp 168.63.129.16:80",
                // mail to servers
                "tcp 203.0.113.80:25",
                // IPv6, to the host and out
                "tcp [fd00:1::1]:8080",
                "udp [fd00:2::2]:443",
                "tcp [fd00:2::2]:443",
            ],
        ),
        (
            "a container",
            &bed.container1,
            vec![
                "tcp 10.92.1.2:3000",
                "udp 10.92.1.2:53",
                "tcp 10.92.0.1:8080",
                "udp 10.92.0.1:8080",
                "tcp 198.51.100.1:8080",
                "tcp 10.88.1.1:8080",
                "tcp 10.88.1.2:9000",
                "udp 10.88.2.2:9000",
                "tcp 192.168.77.1:8080",
                "tcp 192.168.77.2:80",
                "tcp 169.254.169.254:80",
                // port 53 of resolvers that the operator has not named
                "udp 192.168.77.2:53",
                "tcp 192.168.77.2:53",
                "udp 169.254.169.254:53",
                "tcp 169.254.169.254:53",
                "udp 168.63.129.16:53",
                "udp 100.100.100.200:53",
                // mail to servers
                "tcp 203.0.113.80:25",
            ],
        ),
        ("the internet", &bed.internet, outside.clone()),
        ("a neighbour in the LAN", &bed.neighbour, outside),
    ]
}

fn allow_pings(bed: &Bed) {
    for ns in [&bed.internet, &bed.neighbour, &bed.container1] {
        ns.sysctl("ipv4/ping_group_range", "0 0");
    }
}

#[test]
fn the_table_blocks_all_forbidden_targets() {
    let bed = served();
    allow_pings(&bed);
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    let mut count = 0;
    for (sender, ns, probes) in forbidden(&bed) {
        for (probe, answer) in probes.iter().zip(ns.probe(&probes)) {
            assert!(answer.is_some(), "without rules {sender} reaches {probe}");
            count += 1;
        }
    }
    let (one, two) = (tenant(1, &[2]), tenant(2, &[2]));
    firewall.rebuild(&[one, two]);
    for (sender, ns, probes) in forbidden(&bed) {
        for (probe, answer) in probes.iter().zip(ns.probe(&probes)) {
            assert_eq!(answer, None, "{sender} must not reach {probe}");
        }
    }
    eprintln!("{count} probes: all open without the table, all blocked with it");
}

#[test]
fn allowed_traffic_passes_with_the_right_source() {
    let bed = served();
    let settings = FirewallSettings {
        resolvers: vec![[192, 168, 77, 2].into()],
        limits: FirewallLimits {
            smtp_open: true,
            ..FirewallLimits::default()
        },
        ..FirewallSettings::default()
    };
    let firewall = TestFirewall::new(&bed.host, settings);
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    // DNS reaches the container with the device's own address, by UDP and TCP.
    for (ns, gateway, own) in [
        (&bed.alice, "10.88.1.1", "10.88.1.2"),
        (&bed.ally, "10.88.1.1", "10.88.1.3"),
        (&bed.bob, "10.88.2.1", "10.88.2.2"),
    ] {
        assert_eq!(ns.ask(&format!("udp {gateway}:53")).as_deref(), Some(own));
        assert_eq!(ns.ask(&format!("tcp {gateway}:53")).as_deref(), Some(own));
        assert!(ns.ask(&format!("ping {gateway}")).is_some());
        // Packets to the internet are masqueraded.
        for out in [
            "udp 203.0.113.80:443",
            "tcp 203.0.113.80:443",
            "tcp 203.0.113.80:25",
        ] {
            assert_eq!(ns.ask(out).as_deref(), Some("198.51.100.1"));
        }
        assert!(ns.ask("ping 203.0.113.80").is_some());
    }
    // Containers reach the internet, and a named resolver even in the LAN; the host's
    // proxy reaches their UI.
    let out = bed.container1.probe(&[
        "tcp 203.0.113.80:443",
        "udp 203.0.113.53:53",
        "udp 192.168.77.2:53",
        "tcp 192.168.77.2:53",
        "tcp 192.168.77.2:443",
        "tcp 192.168.77.2:80",
        "udp 169.254.169.254:53",
    ]);
    let seen: Vec<_> = out.iter().map(Option::as_deref).collect();
    let (wan, lan) = (Some("198.51.100.1"), Some("192.168.77.1"));
    assert_eq!(seen, [wan, wan, lan, lan, lan, None, None]);
    assert!(bed.host.ask("tcp 10.92.1.1:3000").is_some());
}

#[test]
fn forged_sources_do_not_leave_a_tunnel() {
    let bed = Bed::new();
    let seen = bed.internet.serve("203.0.113.80", 443);
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    let sources = [
        "10.88.1.2",
        "10.88.2.2",
        "10.88.2.9",
        "10.92.1.1",
        "192.0.2.77",
        "198.51.100.1",
    ];
    for s in &sources[1..] {
        bed.alice.ip(&format!("addr add {s}/32 dev lo"));
    }
    let send_from_all = |word: &'static str| {
        bed.alice.run(move || {
            for s in sources {
                let socket = UdpSocket::bind((s.parse::<Ipv4Addr>().unwrap(), 0)).unwrap();
                socket.send_to(word.as_bytes(), "203.0.113.80:443").unwrap();
            }
        });
        std::thread::sleep(Duration::from_millis(300));
        let mut received = seen.lock().unwrap();
        let mut from: Vec<_> = received.drain(..).filter(|l| l.ends_with(word)).collect();
        from.sort();
        from
    };
    // The last one is the host's own address, which the kernel itself drops.
    assert_eq!(send_from_all("open").len(), sources.len() - 1);
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    assert_eq!(send_from_all("closed"), ["198.51.100.1 closed"]);
    // From an interface that belongs to no tenant, no packet leaves with our
    // addresses. Other addresses are not the table's concern: WireGuard restricts
    // a device to its own.
    firewall.rebuild(&[tenant(2, &[])]);
    assert_eq!(send_from_all("unlisted"), ["192.0.2.77 unlisted"]);
}

#[test]
fn allowed_private_ranges_open_nothing_else() {
    let bed = served();
    let settings = FirewallSettings {
        allowed_private: vec![
            "192.168.77.0/24".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ],
        ..FirewallSettings::default()
    };
    let firewall = TestFirewall::new(&bed.host, settings);
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    assert_eq!(
        bed.alice.ask("tcp 192.168.77.2:80").as_deref(),
        Some("192.168.77.1")
    );
    assert_eq!(
        bed.container1.ask("tcp 192.168.77.2:80").as_deref(),
        Some("192.168.77.1")
    );
    assert_eq!(bed.container1.ask("udp 192.168.77.2:53"), None);
    // Allowing 10/8 opens neither host, tunnels nor containers.
    let blocked = [
        "tcp 192.168.77.1:8080",
        "tcp 10.88.2.1:8080",
        "tcp 10.88.2.2:9000",
        "tcp 10.92.1.1:3000",
        "tcp 10.92.0.1:8080",
        "tcp 169.254.169.254:80",
    ];
    assert_eq!(bed.alice.probe(&blocked), vec![None; blocked.len()]);
}
