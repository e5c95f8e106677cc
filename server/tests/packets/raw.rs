//! Packets as they are: sends any, and counts those that arrive.

use crate::netns;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::AsRawFd,
    thread,
    time::Duration,
};

/// Counts packets that arrive in a namespace and match, from now on. The name is the
/// counter's.
pub fn count(namespace: &str, name: &str, packets: &str) {
    let script = format!(
        "table inet count {{ counter {name} {{ }}; chain {name} {{ \
         type filter hook prerouting priority -300; {packets} counter name {name}; }}; }}"
    );
    netns::run(namespace, &["nft", &script]);
}

/// Returns the number of packets that a counter has seen.
pub fn counted(namespace: &str, name: &str) -> u64 {
    let out = netns::run(
        namespace,
        &["nft", "list", "counter", "inet", "count", name],
    );
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (_, rest) = text.split_once("packets ").expect("a counter");
    rest.split(' ')
        .next()
        .unwrap_or_default()
        .parse()
        .expect("a number")
}

/// Removes the counters of a namespace.
pub fn forget_counters(namespace: &str) {
    netns::run(namespace, &["nft", "add", "table", "inet", "count"]);
    netns::run(namespace, &["nft", "delete", "table", "inet", "count"]);
}

/// Sends IPv4 packets of a protocol as they are, from `source` to `target`, at most
/// 12,000 a second.
pub fn send(
    namespace: &str,
    source: Ipv4Addr,
    target: Ipv4Addr,
    protocol: u8,
    payloads: Vec<Vec<u8>>,
) {
    netns::inside(namespace, move || {
        let fd = socket(
            AddressFamily::Inet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::Raw,
        )
        .expect("root may open a raw socket");
        let to = SockaddrIn::from(SocketAddrV4::new(target, 0));
        for (n, payload) in payloads.into_iter().enumerate() {
            // A tunnel's queue has room for some hundred packets.
            if n % 60 == 59 {
                thread::sleep(Duration::from_millis(5));
            }
            // The kernel writes the length and the checksum of the header.
            let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
            packet.extend(source.octets());
            packet.extend(target.octets());
            packet.extend(payload);
            sendto(fd.as_raw_fd(), &packet, &to, MsgFlags::empty()).expect("it is sent");
        }
    });
}

/// Returns an ICMP error with a path MTU of 552 that quotes a UDP datagram.
pub fn icmp_error(kind: u8, code: u8, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut quote = vec![0x45, 0, 0, 28, 0, 1, 0x40, 0, 64, 17, 0, 0];
    quote.extend(from.0.octets());
    quote.extend(to.0.octets());
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

/// Returns the checksum of RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let pairs = bytes.chunks(2);
    let sum: u32 = pairs.map(|c| u32::from(c[0]) << 8 | u32::from(c[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    u16::try_from(!folded & 0xffff)
        .unwrap_or_default()
        .to_be_bytes()
}
