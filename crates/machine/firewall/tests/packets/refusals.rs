//! Tests of what a device learns at once: refusals, and our own pages on this host.

use crate::{
    bed::{HOST, Namespace},
    fixture::{TestFirewall, served, stopped, tenant},
};
use firewall::FirewallSettings;
use nix::sys::socket::{setsockopt, sockopt};
use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

/// The longest wait for a refusal; without load it takes a millisecond.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Returns why a target does not answer.
pub fn refusal(ns: &Namespace, probe: &'static str) -> Option<ErrorKind> {
    let (kind, target) = probe.split_once(' ').unwrap();
    let target: SocketAddr = target.parse().unwrap();
    let result = match kind {
        "tcp" => ns.run(move || TcpStream::connect_timeout(&target, TIMEOUT).map(drop)),
        _ => ns.run(move || ask_udp(target)),
    };
    result.err().map(|e| e.kind())
}

/// Sends a datagram and waits for an answer or an ICMP error.
pub fn ask_udp(target: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // An unconnected program would not learn of it.
    setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.connect(target)?;
    socket.send(b"hello")?;
    socket.recv(&mut [0; 64]).map(drop)
}

#[test]
fn what_a_device_may_not_have_is_refused_at_once() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2]), tenant(2, &[2])]);
    for probe in [
        // DNS over TLS at the gateway, and other services of it
        "tcp 10.88.1.1:853",
        "tcp 10.88.1.1:8080",
        // another tenant's gateway and device, a device outside the mesh, a container
        "tcp 10.88.2.1:8080",
        "tcp 10.88.2.2:9000",
        "tcp 10.88.1.3:9000",
        "tcp 10.92.1.1:3000",
        // the host, the LAN, metadata services, mail to servers
        "tcp 198.51.100.1:8080",
        "tcp 192.168.77.1:8080",
        "tcp 192.168.77.2:80",
        "tcp 169.254.169.254:80",
        "tcp 203.0.113.80:25",
    ] {
        let found = refusal(&bed.alice, probe);
        assert_eq!(found, Some(ErrorKind::ConnectionRefused), "{probe}");
    }
    // The kernel sends an address few of these per second (icmp_ratelimit).
    for probe in ["udp 10.88.1.1:853", "udp 192.168.77.2:53"] {
        let found = refusal(&bed.alice, probe);
        assert_eq!(found, Some(ErrorKind::HostUnreachable), "{probe}");
    }
    // A tenant whose data are used up.
    firewall.set(&stopped(2, &[2]));
    let found = refusal(&bed.bob, "tcp 203.0.113.80:443");
    assert_eq!(found, Some(ErrorKind::ConnectionRefused));
}

#[test]
fn packets_from_elsewhere_get_no_answer() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2]), tenant(2, &[2])]);
    for (ns, probe) in [
        (&bed.internet, "tcp 10.88.1.2:9000"),
        (&bed.internet, "tcp 10.92.1.1:3000"),
        (&bed.neighbour, "tcp 10.88.1.1:8080"),
        (&bed.container1, "tcp 10.92.0.1:8080"),
    ] {
        assert_eq!(refusal(ns, probe), Some(ErrorKind::TimedOut), "{probe}");
    }
}

#[test]
fn our_own_pages_are_reached_and_nothing_else_of_the_host() {
    let bed = served();
    bed.host.serve(HOST, 443);
    let settings = FirewallSettings {
        web_ports: [80, 443].into(),
        web_address: Some([192, 168, 77, 1].into()),
        ..FirewallSettings::default()
    };
    let firewall = TestFirewall::new(&bed.host, settings);
    firewall.rebuild(&[tenant(1, &[]), stopped(2, &[])]);
    for (ns, own) in [(&bed.alice, "10.88.1.2"), (&bed.bob, "10.88.2.2")] {
        let seen = ns.ask("tcp 198.51.100.1:443");
        assert_eq!(seen.as_deref(), Some(own), "also when its data are used up");
    }
    assert_eq!(
        bed.alice.ask("tcp 192.168.77.1:443").as_deref(),
        Some("10.88.1.2")
    );
    let blocked = [
        "tcp 198.51.100.1:22",
        "tcp 198.51.100.1:8080",
        "udp 198.51.100.1:443",
        "ping 198.51.100.1",
        // The gateways and the containers' bridge have only DNS.
        "tcp 10.88.1.1:443",
        "tcp 10.88.2.1:443",
        "tcp 10.92.0.1:443",
        // The same port elsewhere in the LAN.
        "tcp 192.168.77.2:443",
    ];
    assert_eq!(bed.alice.probe(&blocked), vec![None; blocked.len()]);
    assert_eq!(bed.container1.ask("tcp 198.51.100.1:443"), None);
}

#[test]
fn our_own_pages_are_at_no_other_private_address() {
    let bed = served();
    bed.host.serve(HOST, 443);
    let settings = FirewallSettings {
        web_ports: [443].into(),
        ..FirewallSettings::default()
    };
    let firewall = TestFirewall::new(&bed.host, settings);
    firewall.rebuild(&[tenant(1, &[])]);
    assert!(bed.alice.ask("tcp 198.51.100.1:443").is_some());
    assert_eq!(bed.alice.ask("tcp 192.168.77.1:443"), None);
}
