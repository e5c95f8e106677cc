//! The firewall port's implementation on nftables. Tenants are elements of sets.
//!
//! # Guarantees
//! A tenant's packet (one that arrived on an interface of ours) may go to
//! - its own gateway: DNS (udp and tcp 53, redirected to its container) and ping;
//! - devices of its own tenant, where both ends carry the mesh flag;
//! - no other resolver, if its policy is a lock (`lock.rs`): DNS to anywhere is redirected
//!   to its own, and encrypted DNS to known resolvers is refused;
//! - the internet, masqueraded: TCP, except to port 25, UDP and ping, within the
//!   limits of [`FirewallLimits`]. Not if it is stopped.
//!
//! Everything else is dropped: ICMP errors, protocols without ports, forged sources, other tenants' gateways
//! and devices, containers, the host and its services, private and link-local
//! ranges, clouds' metadata services. Tunnels and containers cannot be reached
//! from anywhere else. Containers reach the internet in the same way, and the
//! operator's resolvers anywhere; they do not reach the host, tunnels or each other,
//! not even by ARP, and nothing else in private ranges, because a tenant chooses the
//! addresses from which its AdGuard Home fetches lists.
//!
//! What tenants share is divided: the time for decryption by limits on packets
//! (`tunnels.rs`), entries of the connection table and source ports by
//! limits on connections, the resolvers' source ports by a range of the containers'
//! own. WireGuard's ports are no source ports.
//!
//! # Reasons
//! - The number of rules is constant; tenants are *elements* of sets and a map, so
//!   a packet costs the same with one tenant and with a thousand.
//! - Filtering happens in prerouting, *before* any DNAT (Docker's or ours), on
//!   the address the sender wrote. Filters in forward alone let a tenant reach
//!   what a DNAT rule makes reachable.
//! - Established flows of a tenant get no shortcut: what becomes forbidden (by
//!   removing the mesh flag, for example) is cut at the next packet.
//! - Packets with our addresses are dropped if their interface is not in the set
//!   `ours`.
//! - No rule has a name pattern such as `wg*`, which would match interfaces that
//!   are not ours.
//!
//! # Docker and ufw
//! Their FORWARD policy DROP cannot be overruled from another table, because every
//! table's verdict counts. Therefore our `forward` chain sets the bit [`PASS_MARK`]
//! on packets of tenants that it accepts, and one rule in `DOCKER-USER` (without
//! Docker: in FORWARD) accepts packets with this bit.
//!
//! Sources: `nft(8)`, `iptables(8)`, `iptables-extensions(8)`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod bridge;
mod chains;
mod chains6;
mod command;
mod dump;
mod dump_map;
// `elements`, `listing` and `rules` are public only for the fuzz targets
// (crates/fuzzing).
#[doc(hidden)]
pub mod elements;
mod forward_accept;
mod forwarding;
mod limits;
#[doc(hidden)]
pub mod listing;
mod lock;
mod model;
mod neighbours;
mod netlink;
mod nft;
mod ports;
mod ranges;
#[doc(hidden)]
pub mod rules;
mod settings;
mod tunnels;

pub use forward_accept::PASS_MARK;
pub use forwarding::enable_forwarding;
pub use nft::{BaseTable, Nft};
pub use settings::{FirewallLimits, FirewallSettings};
