//! Packets as they are: counts those that arrive, and sends any.

use crate::bed::Namespace;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use std::{net::SocketAddrV4, os::fd::AsRawFd};

impl Namespace {
    /// Counts packets that arrive and match, from now on. The name is the counter's.
    pub fn count(&self, name: &str, packets: &str) {
        self.command("nft", "add table inet count");
        self.command(
            "nft",
            "add chain inet count in { type filter hook prerouting priority -300 ; }",
        );
        self.command("nft", &format!("add counter inet count {name}"));
        self.command(
            "nft",
            &format!("add rule inet count in {packets} counter name {name}"),
        );
    }

    /// Returns the number of packets that a counter has seen.
    pub fn counted(&self, name: &str) -> u64 {
        let text = self.command("nft", &format!("list counter inet count {name}"));
        let (_, rest) = text.split_once("packets ").unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    }

    /// Sends IPv4 packets of a protocol as they are, from `source` to `target`.
    pub fn send_raw(&self, source: [u8; 4], target: [u8; 4], protocol: u8, payloads: Vec<Vec<u8>>) {
        self.run(move || {
            let fd = socket(
                AddressFamily::Inet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::Raw,
            )
            .unwrap();
            let to = SockaddrIn::from(SocketAddrV4::new(target.into(), 0));
            for payload in payloads {
                // The kernel writes the length and the checksum of the header.
                let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
                packet.extend(source);
                packet.extend(target);
                packet.extend(payload);
                sendto(fd.as_raw_fd(), &packet, &to, MsgFlags::empty()).unwrap();
            }
        });
    }
}
