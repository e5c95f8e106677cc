//! The kernel's table of tracked connections: the implementation of the port
//! [`provisioning::ports::Connections`] on ctnetlink, and the table's own limits.
//!
//! # Why
//! An entry outlives the device it belongs to, for up to days. What still arrives for
//! it is rewritten and delivered to the next holder of the address, and passes rules
//! that accept answers. So the entries of a device or of a tenant are removed before
//! an address is given again.
//!
//! # IPv6
//! A device's addresses of both families are one end (`ipv6.rs`), so what is asked for its
//! IPv4 address also removes its entries of IPv6.
//!
//! # How
//! - The table is read in a dump, which the kernel delivers in datagrams of up to
//!   32 KiB. Each entry is judged where it lies in the buffer, and the deletions are
//!   sent in batches meanwhile: memory is constant, however large the table is.
//! - A deletion names the tuple, as the kernel reported it, and the entry's id. The
//!   tuple is copied and not interpreted, so every protocol of layer 4 is covered. The
//!   kernel makes the id of the entry's place in memory and the tuple, so a newer
//!   connection with the same tuple stays, unless it got the very place.
//! - Attributes are walked with `netlink-packet-core` ([`hostfs::netlink`]).
//!   `netlink-packet-netfilter` would allocate some thirty small vectors for each
//!   entry, and does not know the entry's id.
//!
//! Sources: `linux/netfilter/nfnetlink_conntrack.h`, `net/netfilter/nf_conntrack_netlink.c`,
//! `Documentation/networking/nf_conntrack-sysctl.rst`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod connections;
mod ends;
mod error;
mod ipv6;
mod limits;
// Public only for the tests of single entries (tests/table).
#[doc(hidden)]
pub mod table;
#[doc(hidden)]
pub mod wire;

pub use connections::Conntrack;
pub use limits::{KernelLimits, Reading, Refused};
