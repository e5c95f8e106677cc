//! Detects changes of the ruleset over netlink (`linux/netfilter/nf_tables.h`):
//! the generation number, which grows with every transaction, and the multicast
//! group that announces every transaction. Both cost a few system calls, while
//! `nft` costs a process.

use futures_util::stream::BoxStream;
use hostfs::{
    OwnPids,
    netlink::{self, HEADER, Messages},
};
use nix::sys::socket::{MsgFlags, SockProtocol, recv, send};
use std::os::fd::AsRawFd;

const PROTOCOL: SockProtocol = SockProtocol::NetlinkNetFilter;
/// `NFNLGRP_NFTABLES` is group 7; a netlink address contains groups as bits.
const GROUP: u32 = 1 << (7 - 1);
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN`.
const NEWGEN: u16 = 10 << 8 | 15;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN`.
const GETGEN: u16 = 10 << 8 | 16;
/// `NFTA_GEN_ID`.
const GEN_ID: u16 = 1;
/// The names whose changes are reported, as they are encoded in a message: our
/// tables, and the chains of iptables that tenants' packets traverse.
const WATCHED_NAMES: [&[u8]; 4] = [
    b"maliknode\0",
    b"maliknode_limits\0",
    b"DOCKER-USER\0",
    b"FORWARD\0",
];

/// Returns the ruleset's generation in this thread's network namespace, or `None`
/// if the kernel does not report it. It covers every table of nf_tables,
/// including those of iptables-nft.
pub(crate) fn generation() -> Option<u32> {
    let request = || -> nix::Result<Vec<u8>> {
        let fd = netlink::open(PROTOCOL, 0)?;
        let mut message = Vec::with_capacity(HEADER + 4);
        message.extend(20_u32.to_ne_bytes());
        message.extend(GETGEN.to_ne_bytes());
        message.extend(1_u16.to_ne_bytes()); // NLM_F_REQUEST
        message.extend([0; 8]); // sequence and port: unused on a one-request socket
        message.extend([0; 4]); // nfgenmsg: any family, version 0
        send(fd.as_raw_fd(), &message, MsgFlags::empty())?;
        // The kernel responds within the call above, so this does not block.
        let mut response = vec![0; 1024];
        let length = recv(fd.as_raw_fd(), &mut response, MsgFlags::empty())?;
        response.truncate(length);
        Ok(response)
    };
    let response = request().ok()?;
    let (_, message) = Messages(&response).find(|(h, _)| h.kind == NEWGEN)?;
    let mut attributes = message.get(4..)?;
    while attributes.len() >= 8 {
        let length = usize::from(u16::from_ne_bytes([attributes[0], attributes[1]]));
        if u16::from_ne_bytes([attributes[2], attributes[3]]) == GEN_ID && length == 8 {
            let id = attributes[4..8].try_into().ok()?;
            return Some(u32::from_be_bytes(id));
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}

/// Returns whether a datagram announces an external change of a watched name.
fn is_relevant(datagram: &[u8], own: &OwnPids) -> bool {
    Messages(datagram).any(|(header, body)| {
        let mentions = |name: &&[u8]| body.windows(name.len()).any(|w| w == *name);
        header.kind >> 8 == NEWGEN >> 8
            && !own.contains(header.port)
            && WATCHED_NAMES.iter().any(mentions)
    })
}

/// Returns a stream with an event, debounced, for external changes of our tables
/// and of the chains that tenants' packets traverse. It never ends. Where the
/// kernel does not report changes it stays silent.
pub(crate) fn changes(own: OwnPids) -> BoxStream<'static, ()> {
    netlink::changes(PROTOCOL, GROUP, "the firewall", move |datagram| {
        is_relevant(datagram, &own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, port: u32, body: &[u8]) -> Vec<u8> {
        let mut m = Vec::new();
        m.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        m.extend(kind.to_ne_bytes());
        m.extend([0; 6]);
        m.extend(port.to_ne_bytes());
        m.extend(body);
        m.resize(m.len().next_multiple_of(4), 0);
        m
    }

    #[test]
    fn external_changes_of_watched_names_are_relevant() {
        let own = OwnPids::default();
        own.add(42);
        let table = message(10 << 8, 7, b"\0\0\0\0\x0e\0\x01\0maliknode\0");
        assert!(is_relevant(&table, &own));
        let by_us = message(10 << 8, 42, b"\0\0\0\0\x0e\0\x01\0maliknode\0");
        assert!(!is_relevant(&by_us, &own));
        let other = message(10 << 8, 7, b"\0\0\0\0\x0e\0\x01\0maliknodes\0");
        assert!(!is_relevant(&other, &own));
        let second = [other, message(10 << 8 | 6, 7, b"DOCKER-USER\0")].concat();
        assert!(is_relevant(&second, &own));
    }

    #[test]
    fn truncated_and_empty_datagrams_are_ignored() {
        let own = OwnPids::default();
        let datagram = message(10 << 8, 7, b"maliknode\0");
        for end in 0..datagram.len() - 2 {
            assert!(!is_relevant(&datagram[..end], &own));
        }
        assert!(!is_relevant(&[0; 64], &own));
        assert!(!is_relevant(&[0xff; 64], &own));
    }
}
