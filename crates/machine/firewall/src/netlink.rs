//! Detects changes of the ruleset over netlink (`linux/netfilter/nf_tables.h`):
//! the generation number, which grows with every transaction, and the multicast
//! group that announces every transaction. Both cost a few system calls, while
//! `nft` costs a process.

use futures_util::stream::BoxStream;
use hostfs::{
    OwnPids,
    netlink::{
        self, Channel, Message, Messages, NETFILTER_HEADER, NETLINK_NETFILTER, NLM_F_ACK,
        attribute, write_netfilter_request,
    },
};
use std::io;

/// `NFNLGRP_NFTABLES` is group 7; a netlink address contains groups as bits.
const GROUP: u32 = 1 << (7 - 1);
/// `NFNL_SUBSYS_NFTABLES << 8`.
pub(crate) const NFTABLES: u16 = 10 << 8;
/// `NFT_MSG_NEWGEN`.
const NEWGEN: u16 = NFTABLES | 15;
/// `NFT_MSG_GETGEN`.
const GETGEN: u16 = NFTABLES | 16;
/// `NFTA_GEN_ID`.
const GEN_ID: u16 = 1;
/// `NFPROTO_UNSPEC`.
const ANY_FAMILY: u8 = 0;
/// The names whose changes are reported, as they are encoded in a message: our
/// tables, and the chains of iptables that tenants' packets traverse.
const WATCHED_NAMES: [&[u8]; 4] = [
    b"maliknode\0",
    b"maliknode_limits\0",
    b"DOCKER-USER\0",
    b"FORWARD\0",
];

/// Sends a request of nf_tables, for a dump or with `NLM_F_ACK`, in this thread's network
/// namespace, and passes the messages of the answer on: each one and its attributes.
///
/// # Errors
/// The kernel has no nf_tables, refuses, or answers something malformed.
pub(crate) fn ask(
    kind: u16,
    flags: u16,
    family: u8,
    mut each: impl FnMut(&Message<'_>, &[u8]),
) -> io::Result<()> {
    let mut request = Vec::new();
    write_netfilter_request(kind, flags, family, vec![], &mut request);
    Channel::open(NETLINK_NETFILTER)?.ask(&request, |message| {
        let attributes = message.payload().get(NETFILTER_HEADER..);
        each(message, attributes.unwrap_or_default());
        Ok(())
    })
}

/// Returns the ruleset's generation in this thread's network namespace, or `None`
/// if the kernel does not report it. It covers every table of nf_tables,
/// including those of iptables-nft.
pub(crate) fn generation() -> Option<u32> {
    let mut generation = None;
    ask(GETGEN, NLM_F_ACK, ANY_FAMILY, |message, attributes| {
        if message.message_type() == NEWGEN {
            let id = attribute(attributes, GEN_ID).and_then(|id| id.try_into().ok());
            generation = id.map(u32::from_be_bytes);
        }
    })
    .ok()?;
    generation
}

/// Returns whether a datagram announces an external change of a watched name.
fn is_relevant(datagram: &[u8], own: &OwnPids) -> bool {
    Messages(datagram).map_while(Result::ok).any(|message| {
        let body = message.payload();
        let mentions = |name: &&[u8]| body.windows(name.len()).any(|w| w == *name);
        message.message_type() >> 8 == NFTABLES >> 8
            && !own.contains(message.port_number())
            && WATCHED_NAMES.iter().any(mentions)
    })
}

/// Returns a stream with an event, debounced, for external changes of our tables
/// and of the chains that tenants' packets traverse. It never ends. Where the
/// kernel does not report changes it stays silent. It must be called within a tokio
/// runtime.
pub(crate) fn changes(own: OwnPids) -> BoxStream<'static, ()> {
    netlink::changes(NETLINK_NETFILTER, GROUP, "the firewall", move |datagram| {
        is_relevant(datagram, &own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, port: u32, body: &[u8]) -> Vec<u8> {
        let mut m = Vec::new();
        m.extend((16 + body.len() as u32).to_ne_bytes());
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
