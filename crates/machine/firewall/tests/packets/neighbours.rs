//! Tests of layer 2 between containers.

use crate::{
    bed::{Bed, MAC1, MAC2, Namespace},
    fixture::{TestFirewall, served, tenant},
};
use firewall::FirewallSettings;

/// Returns the MAC address that a namespace has learnt for an address.
fn learnt(ns: &Namespace, address: &str) -> Option<String> {
    let line = ns.command("ip", &format!("neigh show {address}"));
    let (_, rest) = line.split_once("lladdr ")?;
    Some(rest.split(' ').next()?.to_owned())
}

/// The first container claims an address: it asks for another one's MAC address with
/// the claimed one as its own.
fn claim(bed: &Bed, address: &str, target: &str) {
    let thief = &bed.container1;
    thief.ip(&format!("addr add {address}/32 dev eth0"));
    thief.ip("neigh flush dev eth0");
    thief.ip(&format!("route add {target}/32 dev eth0 src {address}"));
    assert_eq!(thief.ask(&format!("udp {target}:9")), None);
    thief.ip(&format!("route del {target}/32 dev eth0"));
    thief.ip(&format!("addr del {address}/32 dev eth0"));
}

#[test]
fn arp_claims_of_another_address_have_no_effect() {
    let bed = served();
    let host_mac = learnt_after_ask(&bed);
    // Without the table the host and the other container believe them.
    claim(&bed, "10.92.1.2", "10.92.0.1");
    assert_eq!(learnt(&bed.host, "10.92.1.2").as_deref(), Some(MAC1));
    claim(&bed, "10.92.0.1", "10.92.1.2");
    assert_eq!(learnt(&bed.container2, "10.92.0.1").as_deref(), Some(MAC1));

    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    bed.host.ip("neigh flush dev mn0");
    bed.container2.ip("neigh flush dev eth0");
    assert_eq!(learnt_after_ask(&bed), host_mac);
    claim(&bed, "10.92.1.2", "10.92.0.1");
    assert_eq!(learnt(&bed.host, "10.92.1.2").as_deref(), Some(MAC2));
    claim(&bed, "10.92.0.1", "10.92.1.2");
    assert_eq!(learnt(&bed.container2, "10.92.0.1"), host_mac);
    // With another MAC address a container reaches nothing at all.
    bed.container1.ip("link set eth0 address 02:42:0a:5c:01:02");
    bed.container1.ip("neigh flush dev eth0");
    assert_eq!(bed.container1.ask("tcp 203.0.113.80:443"), None);
    assert!(bed.container2.ask("tcp 203.0.113.80:443").is_some());
}

/// Lets the host and the second container know each other, and returns the host's MAC
/// address there.
fn learnt_after_ask(bed: &Bed) -> Option<String> {
    assert!(bed.container2.ask("tcp 203.0.113.80:443").is_some());
    assert_eq!(learnt(&bed.host, "10.92.1.2").as_deref(), Some(MAC2));
    learnt(&bed.container2, "10.92.0.1")
}

#[test]
fn containers_do_not_see_each_other() {
    let bed = served();
    bed.container1.count("foreign", "ip saddr 10.92.1.2");
    assert!(bed.container1.ask("udp 10.92.1.2:53").is_some());
    assert_eq!(learnt(&bed.container1, "10.92.1.2").as_deref(), Some(MAC2));
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    let before = bed.container1.counted("foreign");
    assert_eq!(bed.container1.ask("udp 10.92.1.2:53"), None);
    bed.container1.ip("neigh flush dev eth0");
    assert_eq!(bed.container1.ask("udp 10.92.1.2:53"), None);
    // ARP is not forwarded either, nor are frames to everybody.
    assert_eq!(learnt(&bed.container1, "10.92.1.2"), None);
    let to_all: [u8; 4] = [255, 255, 255, 255];
    bed.container2.run(move || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_broadcast(true).unwrap();
        for target in [to_all, [10, 92, 7, 255]] {
            socket
                .send_to(b"all", (std::net::Ipv4Addr::from(target), 53))
                .unwrap();
        }
    });
    assert_eq!(bed.container1.counted("foreign"), before);
}
