//! Tests of ICMP errors and of protocols without ports: neither carries one tenant's
//! packets into another's flows.

use crate::{
    bed::{Bed, Namespace},
    fixture::{TestFirewall, served, tenant},
};
use firewall::FirewallSettings;
use std::net::UdpSocket;

const ALICE: [u8; 4] = [10, 88, 1, 2];
const ALLY: [u8; 4] = [10, 88, 1, 3];
const BOB: [u8; 4] = [10, 88, 2, 2];
const GATEWAY2: [u8; 4] = [10, 88, 2, 1];
const HOST: [u8; 4] = [198, 51, 100, 1];
const SERVER: [u8; 4] = [203, 0, 113, 80];
const ERRORS: &str = "icmp type { destination-unreachable, source-quench, redirect, time-exceeded, parameter-problem }";

/// Returns an ICMP error with a path MTU of 552 that quotes a UDP datagram.
fn error(kind: u8, code: u8, from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
    let mut quote = vec![0x45, 0, 0, 28, 0, 1, 0x40, 0, 64, 17, 0, 0];
    quote.extend(from.0);
    quote.extend(to.0);
    let sum = checksum(&quote);
    quote[10..12].copy_from_slice(&sum);
    quote.extend(from.1.to_be_bytes());
    quote.extend(to.1.to_be_bytes());
    quote.extend([0, 8, 0, 0]);
    let mut icmp = vec![kind, code, 0, 0, 0, 0, 2, 40];
    icmp.extend(quote);
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    icmp
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum: u32 = bytes
        .chunks(2)
        .map(|c| u32::from(c[0]) << 8 | u32::from(c[1]))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes()
}

fn all_kinds(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<Vec<u8>> {
    [(3, 3), (3, 4), (4, 0), (5, 1), (11, 0), (12, 0)]
        .iter()
        .map(|&(kind, code)| error(kind, code, from, to))
        .collect()
}

/// Opens a flow from a port and waits for an answer.
fn open_flow(ns: &Namespace, port: u16, target: &'static str) -> UdpSocket {
    ns.run(move || {
        let socket = UdpSocket::bind(("0.0.0.0", port)).unwrap();
        socket.connect(target).unwrap();
        socket
            .set_read_timeout(Some(std::time::Duration::from_secs(2)))
            .unwrap();
        socket.send(b"hello").unwrap();
        socket.recv(&mut [0; 64]).unwrap();
        socket
    })
}

#[test]
fn forged_icmp_errors_do_not_reach_another_flow() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[2])]);
    for (ns, name) in [
        (&bed.internet, "errors"),
        (&bed.container2, "errors"),
        (&bed.bob, "errors"),
    ] {
        ns.count(name, ERRORS);
    }
    let flow = open_flow(&bed.bob, 40_000, "203.0.113.80:443");
    let dns = open_flow(&bed.bob, 40_001, "10.88.2.1:53");
    // To the server, about its answers to the other tenant.
    let about_answers = || all_kinds((SERVER, 443), (HOST, 40_000));
    bed.alice.send_raw(ALICE, SERVER, 1, about_answers());
    // To a device of the own mesh, to its own gateway and to the other one: NAT sends
    // an error where the quoted flow belongs.
    bed.alice.send_raw(ALICE, ALLY, 1, about_answers());
    let about_query = || all_kinds((GATEWAY2, 53), (BOB, 40_001));
    bed.alice.send_raw(ALICE, ALLY, 1, about_query());
    bed.alice.send_raw(ALICE, [10, 88, 1, 1], 1, about_query());
    bed.alice.send_raw(ALICE, GATEWAY2, 1, about_query());
    let about_requests = || all_kinds((BOB, 40_000), (SERVER, 443));
    bed.alice.send_raw(ALICE, ALLY, 1, about_requests());
    for ns in [&bed.internet, &bed.container2, &bed.bob] {
        assert_eq!(ns.counted("errors"), 0);
    }
    for socket in [flow, dns] {
        socket.send(b"again").unwrap();
        assert!(socket.recv(&mut [0; 64]).is_ok());
    }
    let routes = bed.internet.command("ip", "route get 198.51.100.1");
    assert!(!routes.contains("mtu"), "{routes}");
    // Without these rules they arrive.
    for chain in ["from_tunnel", "out_of_tunnel", "to_container"] {
        let flush = format!("flush chain inet maliknode {chain}");
        bed.host.command("nft", &flush);
    }
    bed.alice.send_raw(ALICE, SERVER, 1, about_answers());
    bed.alice.send_raw(ALICE, GATEWAY2, 1, about_query());
    assert!(bed.internet.counted("errors") > 0);
    assert!(bed.container2.counted("errors") > 0);
}

#[test]
fn icmp_errors_for_own_flows_reach_a_device() {
    let bed = served();
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[])]);
    let _flow = open_flow(&bed.alice, 40_000, "203.0.113.80:443");
    bed.internet.send_raw(
        [198, 51, 100, 2],
        HOST,
        1,
        vec![error(3, 4, (HOST, 40_000), (SERVER, 443))],
    );
    let route = bed.alice.command("ip", "route get 203.0.113.80");
    assert!(route.contains("mtu 552"), "{route}");
    // Within a mesh they pass as well.
    bed.ally.count("errors", ERRORS);
    let _mesh = open_flow(&bed.ally, 40_001, "10.88.1.2:9000");
    let about = error(3, 4, (ALLY, 40_001), (ALICE, 9000));
    bed.alice.send_raw(ALICE, ALLY, 1, vec![about]);
    assert_eq!(bed.ally.counted("errors"), 1);
}

#[test]
fn protocols_without_ports_stay_in_the_mesh() {
    let bed = Bed::new();
    // IPIP, DCCP, GRE, ESP, AH, L2TP over IP, SCTP, UDP-Lite
    let protocols = [4, 33, 47, 50, 51, 115, 132, 136];
    let others = "ip protocol { 4, 33, 47, 50, 51, 115, 132, 136 }";
    bed.internet.count("others", others);
    bed.ally.count("others", others);
    let send_all = |ns: &Namespace, source: [u8; 4], target: [u8; 4]| {
        for protocol in protocols {
            ns.send_raw(source, target, protocol, vec![vec![0; 32]]);
        }
    };
    send_all(&bed.alice, ALICE, SERVER);
    assert_eq!(bed.internet.counted("others"), 8, "open without the table");
    let firewall = TestFirewall::new(&bed.host, FirewallSettings::default());
    firewall.rebuild(&[tenant(1, &[2, 3]), tenant(2, &[2])]);
    for (ns, source) in [
        (&bed.alice, ALICE),
        (&bed.bob, BOB),
        (&bed.container1, [10, 92, 1, 1]),
    ] {
        send_all(ns, source, SERVER);
    }
    assert_eq!(bed.internet.counted("others"), 8);
    send_all(&bed.alice, ALICE, ALLY);
    assert_eq!(bed.ally.counted("others"), 8);
}
