//! Netlink (netlink(7)) for what `rtnetlink` does not know: netfilter's requests, and the
//! multicast groups by which the kernel announces changes. Sockets are those of
//! `netlink-sys`, headers and attributes those of `netlink-packet-core`, which rtnetlink
//! brings already. Messages are read where they lie: `netlink-packet-netfilter` would
//! allocate for each attribute of each connection and for each expression of every
//! program's rules, and one that it cannot read would hide the whole message.

mod changes;
mod channel;
mod wire;

pub use changes::{changes, is_overrun, subscribe};
pub use channel::{Channel, error_of};
pub use netlink_packet_core::{
    DecodeError, DefaultNla, NLA_F_NESTED, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_ERROR,
};
pub use netlink_sys::{
    Socket,
    protocols::{NETLINK_NETFILTER, NETLINK_ROUTE},
};
pub use wire::{
    Message, Messages, NETFILTER_HEADER, attribute, attributes, write_netfilter_request,
};
