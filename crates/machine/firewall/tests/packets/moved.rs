//! Tests of tenants that have moved: what arrives at the port here is sent on to the new
//! node. The neighbour is that node; a server on UDP answers with the sender that it sees.

use crate::{
    bed::{Bed, Namespace},
    fixture::{TestFirewall, tenant},
};
use domain::Slot;
use firewall::FirewallSettings;
use provisioning::ports::{Change, FirewallChange};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

/// This node, as devices reach it and as the new node sees it.
const HOST: &str = "198.51.100.1";
const HOST_AT_NODE: &str = "192.168.77.1";
const NODE: [u8; 4] = [192, 168, 77, 2];
const DEVICE: &str = "203.0.113.80";
const PORT: u16 = 51_821;

fn forwards(to: Option<[u8; 4]>) -> BTreeMap<Slot, Ipv4Addr> {
    to.into_iter()
        .map(|to| (Slot::FIRST, Ipv4Addr::from(to)))
        .collect()
}

/// Changes where the first slot's packets are sent on to.
fn forward(firewall: &TestFirewall<'_>, to: Option<[u8; 4]>) {
    let change = Change {
        from: firewall.observe().forwards,
        to: forwards(to),
    };
    firewall.apply(FirewallChange {
        forwards: change,
        ..FirewallChange::default()
    });
    let now = firewall.observe();
    assert!(now.complete);
    assert_eq!(now.forwards, forwards(to));
}

/// Serves two slots' ports here and at the new node.
fn served() -> Bed {
    let bed = Bed::new();
    for port in [PORT, PORT + 1] {
        bed.host.serve(HOST, port);
        bed.neighbour.serve("192.168.77.2", port);
    }
    bed
}

#[test]
fn packets_of_a_moved_tenant_reach_its_new_node() {
    let bed = served();
    let ask = |port: u16| bed.internet.ask(&format!("udp {HOST}:{port}"));
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(2, &[])]);
    assert_eq!(ask(PORT).as_deref(), Some("198.51.100.2"), "it is here");
    forward(&firewall, Some(NODE));
    // The device is answered by the host that it asked: its socket is connected to it.
    assert_eq!(ask(PORT).as_deref(), Some(HOST_AT_NODE));
    assert_eq!(
        ask(PORT + 1).as_deref(),
        Some("198.51.100.2"),
        "a neighbour"
    );
    // Other programs' filters, as Docker's and ufw's, drop what they do not know.
    let nft = |args: &str| drop(bed.host.command("nft", args));
    nft("add table inet other");
    nft("add chain inet other pass { type filter hook forward priority 0 ; policy drop ; }");
    assert_eq!(ask(PORT), None);
    nft("add rule inet other pass meta mark & 0x01000000 != 0 accept");
    assert_eq!(ask(PORT).as_deref(), Some(HOST_AT_NODE));
    // It moves again, to a node that is off, and comes back.
    forward(&firewall, Some([192, 168, 77, 9]));
    assert_eq!(ask(PORT), None);
    forward(&firewall, None);
    assert_eq!(ask(PORT).as_deref(), Some("198.51.100.2"));
}

#[test]
fn nothing_else_is_sent_on_to_a_new_node() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[]), tenant(2, &[])]);
    forward(&firewall, Some(NODE));
    // A tenant's device reaches neither the host nor the new node's private address.
    for target in [format!("{HOST}:{PORT}"), format!("192.168.77.2:{PORT}")] {
        assert_eq!(bed.alice.ask(&format!("udp {target}")), None, "{target}");
        assert_eq!(bed.container1.ask(&format!("udp {target}")), None);
    }
    // Of the same port, only UDP.
    let tcp = format!("tcp {HOST}:{PORT}");
    assert_eq!(bed.internet.ask(&tcp).as_deref(), Some("198.51.100.2"));
    // Packets that pass this host to another one with that port keep their way.
    bed.internet.serve(DEVICE, PORT);
    let passing = bed.alice.ask(&format!("udp {DEVICE}:{PORT}"));
    assert_eq!(passing.as_deref(), Some(HOST));
}

fn socket(ns: &Namespace, address: &str, port: u16) -> UdpSocket {
    let at = SocketAddr::new(address.parse().unwrap(), port);
    let socket = ns.run(move || UdpSocket::bind(at).unwrap());
    let wait = Some(Duration::from_millis(1_500));
    socket.set_read_timeout(wait).unwrap();
    socket
}

#[test]
fn a_moved_tenants_devices_are_known_by_their_answers() {
    const RESPONSE: [u8; 32] = {
        let mut bytes = [4; 32];
        (bytes[1], bytes[2], bytes[3]) = (0, 0, 0);
        bytes
    };
    let bed = Bed::new();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(2, &[])]);
    forward(&firewall, Some(NODE));
    bed.neighbour.count("arrived", &format!("udp dport {PORT}"));
    let (node, device) = (
        socket(&bed.neighbour, "192.168.77.2", PORT),
        socket(&bed.internet, DEVICE, 4_001),
    );
    let flood = |count: u64| {
        let before = bed.neighbour.counted("arrived");
        for _ in 0..count {
            device.send_to(&RESPONSE, (HOST, PORT)).unwrap();
        }
        bed.neighbour.counted("arrived") - before
    };
    let arrived = flood(5_000);
    assert!((1_000..2_500).contains(&arrived), "a stranger: {arrived}");
    let mut buffer = [0; 64];
    let (_, from) = node.recv_from(&mut buffer).unwrap();
    node.send_to(&RESPONSE, from).unwrap();
    let (length, from) = device.recv_from(&mut buffer).unwrap();
    assert_eq!((length, from.to_string()), (32, format!("{HOST}:{PORT}")));
    assert_eq!(flood(5_000), 5_000, "a device");
}

#[test]
fn a_changed_forwarding_is_noticed() {
    let bed = Bed::new();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(2, &[])]);
    forward(&firewall, Some(NODE));
    let nft = |args: &str| drop(bed.host.command("nft", args));
    nft("delete element inet maliknode forwarded { 51821 . 192.168.77.2 }");
    assert!(!firewall.observe().complete, "a half");
    firewall.rebuild(&[tenant(2, &[])]);
    assert_eq!(firewall.observe().forwards, forwards(None));
    forward(&firewall, Some(NODE));
    nft("delete element inet maliknode forwarded { 51821 . 192.168.77.2 }");
    nft("delete element inet maliknode forwards { 51821 : 192.168.77.2 }");
    let now = firewall.observe();
    assert!(now.complete && now.forwards.is_empty());
    forward(&firewall, Some(NODE));
    nft("add element inet maliknode forwards { 4000 : 192.168.77.2 }");
    assert!(!firewall.observe().complete, "no port of ours");
}
