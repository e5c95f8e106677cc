//! Tests of IPv6 inside tunnels: who reaches what, what is refused, and how the answer
//! follows the host's own IPv6.

use crate::{
    bed::{Bed, Namespace, send},
    fixture::{TestFirewall, stopped, tenant},
    refusals::refusal,
};
use firewall::{FirewallLimits, FirewallSettings};
use std::{
    io::ErrorKind,
    net::{TcpStream, UdpSocket},
    time::{Duration, Instant},
};

/// The gateways and devices. Tenant n has fd01:203:405:n::/64.
pub const GATEWAY1: &str = "fd01:203:405:1::1";
pub const GATEWAY2: &str = "fd01:203:405:2::1";
pub const ALICE: &str = "fd01:203:405:1::2";
const ALLY: &str = "fd01:203:405:1::3";
const BOB: &str = "fd01:203:405:2::2";
/// The host's own addresses: to the internet, and in a LAN.
pub const WAN: &str = "2001:db8:ff::1";
const LAN: &str = "2001:db8:77::1";
/// A server behind the router, the router itself, a machine in the LAN, clouds' metadata.
pub const SERVER: &str = "2001:db8:80::80";
const ROUTER: &str = "2001:db8:ff::2";
const PRINTER: &str = "2001:db8:77::2";
const METADATA: &str = "fd00:ec2::254";
const TRANSLATED: &str = "64:ff9b::c0a8:4d02";

/// Returns the MAC address of a link.
fn mac(ns: &Namespace, link: &str) -> String {
    let text = ns.command("ip", &format!("-o link show {link}"));
    let (_, after) = text.split_once("link/ether ").unwrap();
    after.split(' ').next().unwrap().to_owned()
}

/// Adds IPv6 to the bed. WireGuard has no neighbour discovery, so the links that stand for
/// tunnels know their neighbours.
pub fn bed() -> Bed {
    let bed = Bed::new();
    let host = &bed.host;
    for (ns, link, address, gateway) in [
        (&bed.alice, "wg1", ALICE, GATEWAY1),
        (&bed.ally, "wg1", ALLY, GATEWAY1),
        (&bed.bob, "wg2", BOB, GATEWAY2),
    ] {
        let (own, hosts) = (mac(ns, "eth0"), mac(host, link));
        host.ip(&format!("-6 addr replace {gateway}/64 dev {link} nodad"));
        host.ip(&format!(
            "-6 neigh replace {address} lladdr {own} dev {link} nud permanent"
        ));
        // Its host is a neighbour of itself, on a link that stands for a tunnel.
        for of in ["all", "eth0"] {
            ns.sysctl(&format!("ipv6/conf/{of}/accept_redirects"), "0");
        }
        ns.ip("-6 addr flush dev eth0 scope global");
        ns.ip(&format!("-6 addr add {address}/128 dev eth0 nodad"));
        ns.ip(&format!(
            "-6 neigh replace {gateway} lladdr {hosts} dev eth0 nud permanent"
        ));
        ns.ip(&format!("-6 route add {gateway} dev eth0"));
        ns.ip("-6 route flush default");
        ns.ip(&format!("-6 route add default via {gateway} dev eth0"));
    }
    host.ip(&format!("-6 addr add {WAN}/64 dev wan0 nodad"));
    host.ip(&format!("-6 addr add {LAN}/64 dev lan0 nodad"));
    host.ip(&format!("-6 route add default via {ROUTER}"));
    bed.internet
        .ip(&format!("-6 addr add {ROUTER}/64 dev eth0 nodad"));
    for address in [SERVER, METADATA, TRANSLATED] {
        bed.internet
            .ip(&format!("-6 addr add {address}/128 dev lo nodad"));
    }
    bed.neighbour
        .ip(&format!("-6 addr add {PRINTER}/64 dev eth0 nodad"));
    for (ns, via) in [(&bed.internet, WAN), (&bed.neighbour, LAN)] {
        ns.ip(&format!("-6 route add fd01:203:405::/48 via {via}"));
        ns.sysctl("ipv4/ping_group_range", "0 0");
    }
    for (ns, addresses, port) in [
        (host, [GATEWAY1, GATEWAY2, WAN, LAN].join(" "), 8080),
        (host, [WAN, LAN].join(" "), 443),
        (&bed.alice, ALICE.to_owned(), 9000),
        (&bed.ally, ALLY.to_owned(), 9000),
        (&bed.bob, BOB.to_owned(), 9000),
        (
            &bed.internet,
            [SERVER, ROUTER, METADATA, TRANSLATED].join(" "),
            443,
        ),
        (&bed.internet, SERVER.to_owned(), 25),
        (&bed.neighbour, PRINTER.to_owned(), 443),
    ] {
        ns.serve(&addresses, port);
    }
    bed
}

/// Returns what is forbidden: each sender with the targets it must not reach.
fn forbidden(bed: &Bed) -> Vec<(&'static str, &Namespace, Vec<String>)> {
    let each = |probes: &[(&str, &str)]| -> Vec<String> {
        let of = |(kind, target): &(&str, &str)| match kind.split_once(':') {
            Some((kind, port)) => format!("{kind} [{target}]:{port}"),
            None => format!("{kind} {target}"),
        };
        probes.iter().map(of).collect()
    };
    let outside = each(&[
        ("tcp:8080", GATEWAY1),
        ("udp:8080", GATEWAY1),
        ("ping", GATEWAY1),
        ("tcp:9000", ALICE),
        ("udp:9000", ALICE),
        ("ping", ALICE),
    ]);
    let tenant = each(&[
        // its own gateway's other services, and the other tenant's gateway and device
        ("tcp:8080", GATEWAY1),
        ("udp:8080", GATEWAY1),
        ("tcp:8080", GATEWAY2),
        ("udp:8080", GATEWAY2),
        ("ping", GATEWAY2),
        ("tcp:9000", BOB),
        ("udp:9000", BOB),
        ("ping", BOB),
        // its own device outside the mesh
        ("tcp:9000", ALLY),
        ("udp:9000", ALLY),
        ("ping", ALLY),
        // the host under its other addresses, the LAN and what is next to the host
        ("tcp:8080", WAN),
        ("udp:8080", WAN),
        ("ping", WAN),
        ("tcp:8080", LAN),
        ("tcp:443", PRINTER),
        ("udp:443", PRINTER),
        ("ping", PRINTER),
        ("tcp:443", ROUTER),
        // metadata services, translated IPv4, mail to servers
        ("tcp:443", METADATA),
        ("tcp:443", TRANSLATED),
        ("tcp:25", SERVER),
    ]);
    vec![
        ("a tenant", &bed.alice, tenant),
        ("the internet", &bed.internet, outside.clone()),
        ("a neighbour in the LAN", &bed.neighbour, outside),
    ]
}

fn probe(ns: &Namespace, probes: &[String]) -> Vec<Option<String>> {
    ns.probe(&probes.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn the_table_blocks_all_forbidden_targets_of_ipv6() {
    let bed = bed();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    let mut count = 0;
    for (sender, ns, probes) in forbidden(&bed) {
        for (target, answer) in probes.iter().zip(probe(ns, &probes)) {
            assert!(answer.is_some(), "without rules {sender} reaches {target}");
            count += 1;
        }
    }
    firewall.rebuild(&[tenant(1, &[2]), tenant(2, &[2])]);
    for (sender, ns, probes) in forbidden(&bed) {
        for (target, answer) in probes.iter().zip(probe(ns, &probes)) {
            assert_eq!(answer, None, "{sender} must not reach {target}");
        }
    }
    eprintln!("{count} probes of IPv6: all open without the table, all blocked with it");
}

#[test]
fn allowed_traffic_of_ipv6_passes_with_the_hosts_address() {
    let bed = bed();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[])]);
    for (ns, gateway) in [
        (&bed.alice, GATEWAY1),
        (&bed.ally, GATEWAY1),
        (&bed.bob, GATEWAY2),
    ] {
        for kind in ["udp", "tcp"] {
            let seen = ns.ask(&format!("{kind} [{SERVER}]:443"));
            assert_eq!(seen.as_deref(), Some(WAN));
        }
        assert!(ns.ask(&format!("ping {SERVER}")).is_some());
        assert!(ns.ask(&format!("ping {gateway}")).is_some());
    }
    for kind in ["udp", "tcp"] {
        let seen = bed.alice.ask(&format!("{kind} [{ALLY}]:9000"));
        assert_eq!(seen.as_deref(), Some(ALICE), "the mesh keeps the source");
    }
    // What leaves the mesh is cut at its next packet.
    let mut flow = bed.alice.run(|| TcpStream::connect((ALLY, 9000)).unwrap());
    assert_eq!(send(&mut flow, "hello").as_deref(), Some(ALICE));
    firewall.set(&tenant(1, &[2]));
    assert_eq!(send(&mut flow, "cut"), None);
    let limits = FirewallLimits {
        smtp_open: true,
        ..FirewallLimits::default()
    };
    let open = FirewallSettings {
        limits,
        web_ports: [443].into(),
        ..FirewallSettings::default()
    };
    TestFirewall::new(&bed.host, open).rebuild(&[tenant(1, &[]), stopped(2, &[])]);
    assert!(bed.alice.ask(&format!("tcp [{SERVER}]:25")).is_some());
    // Our own pages, also for a tenant whose data are used up.
    for (ns, own) in [(&bed.alice, ALICE), (&bed.bob, BOB)] {
        let seen = ns.ask(&format!("tcp [{WAN}]:443"));
        assert_eq!(seen.as_deref(), Some(own));
        assert_eq!(ns.ask(&format!("tcp [{WAN}]:8080")), None);
    }
    assert_eq!(bed.bob.ask(&format!("tcp [{SERVER}]:443")), None);
}

#[test]
fn forged_sources_of_ipv6_do_not_leave_a_tunnel() {
    let bed = bed();
    let seen = bed.internet.serve(SERVER, 4000);
    let sources = [ALICE, BOB, "fd01:203:405:7::2", "2001:db8:80::9", WAN];
    for s in &sources[1..] {
        bed.alice.ip(&format!("-6 addr add {s}/128 dev lo nodad"));
    }
    let send_from_all = || {
        bed.alice.run(move || {
            for s in sources {
                let socket = UdpSocket::bind((s, 0)).unwrap();
                socket.send_to(b"hello", (SERVER, 4000)).unwrap();
            }
        });
        std::thread::sleep(Duration::from_millis(300));
        let mut received = seen.lock().unwrap();
        received.drain(..).collect::<Vec<_>>()
    };
    assert!(send_from_all().len() >= 4, "open without the table");
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    assert_eq!(send_from_all(), [format!("{WAN} hello")]);
    // From the interface of a tenant that has left no packet leaves with our addresses.
    firewall.rebuild(&[tenant(2, &[])]);
    let others = ["2001:db8:80::9 hello".to_owned(), format!("{WAN} hello")];
    assert_eq!(send_from_all(), others);
}

/// Returns how long a device waits until it learns that a target cannot be had.
fn refused_after(ns: &Namespace, target: &str) -> (Option<ErrorKind>, Duration) {
    let began = Instant::now();
    let probe: &'static str = Box::leak(format!("tcp {target}").into_boxed_str());
    (refusal(ns, probe), began.elapsed())
}

#[test]
fn without_ipv6_of_the_host_devices_learn_it_at_once() {
    let bed = bed();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[])]);
    let server = format!("[{SERVER}]:443");
    assert!(bed.alice.ask(&format!("tcp {server}")).is_some());
    // The kernel's routes decide, at each packet: nothing has to be told.
    bed.host.ip("-6 route del default");
    let (kind, took) = refused_after(&bed.alice, &server);
    assert_eq!(kind, Some(ErrorKind::ConnectionRefused));
    assert!(took < Duration::from_secs(1), "{took:?}");
    let refused = bed.alice.run(|| {
        let socket = UdpSocket::bind("[::]:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        socket.connect((SERVER, 443)).unwrap();
        socket.send(b"hello").unwrap();
        socket.recv(&mut [0; 64]).unwrap_err().kind()
    });
    assert_eq!(
        refused,
        ErrorKind::PermissionDenied,
        "administratively prohibited"
    );
    // The tenant's own network goes on.
    assert!(bed.alice.ask(&format!("tcp [{ALLY}]:9000")).is_some());
    bed.host.ip(&format!("-6 route add default via {ROUTER}"));
    assert!(bed.alice.ask(&format!("tcp {server}")).is_some());
    // What else a device may not have is refused as at once.
    for target in [
        format!("[{GATEWAY1}]:853"),
        // The relay does not run.
        format!("[{GATEWAY1}]:53"),
        format!("[{BOB}]:9000"),
        format!("[{PRINTER}]:443"),
        format!("[{METADATA}]:443"),
    ] {
        let (kind, took) = refused_after(&bed.alice, &target);
        assert_eq!(kind, Some(ErrorKind::ConnectionRefused), "{target}");
        assert!(took < Duration::from_secs(1), "{target}: {took:?}");
    }
}

#[test]
fn a_new_network_of_the_host_is_not_reached_from_tunnels() {
    let bed = bed();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[])]);
    let server = format!("tcp [{SERVER}]:443");
    assert!(bed.alice.ask(&server).is_some());
    // The server's network is now next to the host.
    bed.host.ip("-6 route add 2001:db8:80::/64 dev wan0");
    bed.internet.ip("-6 neigh flush all");
    assert!(!firewall.observe().complete, "the rules are others");
    firewall.rebuild(&[tenant(1, &[])]);
    assert_eq!(bed.alice.ask(&server), None);
    bed.host.ip("-6 route del 2001:db8:80::/64 dev wan0");
    assert!(!firewall.observe().complete);
    firewall.rebuild(&[tenant(1, &[])]);
    assert!(bed.alice.ask(&server).is_some());
}

#[test]
fn a_locked_device_has_no_other_resolver_by_ipv6() {
    let bed = bed();
    for port in [53, 853] {
        bed.internet.serve(SERVER, port);
    }
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    let mut locked = tenant(1, &[]);
    locked.locked6 = [ALICE.parse().unwrap()].into();
    firewall.rebuild(&[locked]);
    for port in [53, 853] {
        let target = format!("[{SERVER}]:{port}");
        let (kind, _) = refused_after(&bed.alice, &target);
        assert_eq!(kind, Some(ErrorKind::ConnectionRefused), "{target}");
        assert!(bed.ally.ask(&format!("tcp {target}")).is_some());
    }
    assert!(bed.alice.ask(&format!("tcp [{SERVER}]:443")).is_some());
}

#[test]
fn connections_of_ipv6_are_limited() {
    let bed = bed();
    let limits = FirewallLimits {
        connections_per_device: 100,
        ..FirewallLimits::default()
    };
    let settings = FirewallSettings {
        limits,
        ..FirewallSettings::default()
    };
    let firewall = TestFirewall::new(&bed.host, settings);
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    let open = |ns: &Namespace| {
        ns.run(|| {
            let target = (SERVER, 443);
            let sockets: Vec<_> = (0..300)
                .map(|_| {
                    let socket = UdpSocket::bind("[::]:0").unwrap();
                    socket.connect(target).unwrap();
                    socket
                        .set_read_timeout(Some(Duration::from_millis(20)))
                        .unwrap();
                    let _ = socket.send(b"hello");
                    socket
                })
                .collect();
            std::thread::sleep(Duration::from_millis(200));
            let is_answered = |s: &&UdpSocket| s.recv(&mut [0; 64]).is_ok();
            sockets.iter().filter(is_answered).count()
        })
    };
    let answered = open(&bed.alice);
    assert!((80..=100).contains(&answered), "{answered} of 300");
    assert!((80..=100).contains(&open(&bed.bob)), "another tenant's");
}
