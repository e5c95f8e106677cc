//! The real side of the firewall port: one nftables table, tenants as elements.
//!
//! # What the table promises
//! A tenant's packet (it came in through an interface of ours) may go to
//! - its own gateway: DNS (udp and tcp 53, redirected to its container) and ping;
//! - devices of its own tenant, where both ends carry the mesh flag;
//! - the internet, masqueraded.
//!
//! Everything else is dropped: forged sources, IPv6, other tenants' gateways
//! and devices, containers, the host and whatever listens on it, private and
//! link-local ranges, clouds' metadata services. Nobody else reaches tunnels
//! or containers. Containers reach the internet, and DNS servers anywhere; not
//! the host, tunnels or each other, and nothing else in private ranges: a
//! tenant tells its AdGuard Home which addresses to fetch lists from.
//!
//! # Why it is so
//! - The number of rules is constant; tenants are set and map *elements*, so a
//!   packet costs the same at one tenant and at a thousand.
//! - Filtering happens in prerouting, *before* any DNAT (Docker's or ours), on
//!   the address the sender wrote. Filters in forward alone let a tenant reach
//!   what a DNAT rule makes reachable.
//! - A tenant's packet meets no shortcut for established flows: what is taken
//!   away (the mesh flag, say) is cut at the next packet.
//! - An interface name that is not in the set `ours` gets nothing: packets with
//!   our addresses from anywhere else are dropped.
//! - A name pattern such as `wg*` would catch interfaces that are not ours;
//!   there is none.
//!
//! # Living with Docker and ufw
//! Their FORWARD policy DROP cannot be overruled from another table: every
//! table's verdict counts. Packets of tenants that our `forward` chain accepted
//! therefore carry the bit [`PASS_MARK`], and one rule in `DOCKER-USER` (or
//! FORWARD, without Docker) accepts what carries it.
//!
//! Tables, commands, netlink: `nft(8)`, `iptables(8)`, `iptables-extensions(8)`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod chains;
mod command;
// Public for the fuzz targets (crates/fuzzing) only, as `listing` and `rules`.
#[doc(hidden)]
pub mod elements;
mod forwarding;
#[doc(hidden)]
pub mod listing;
mod netlink;
mod nft;
mod passage;
#[doc(hidden)]
pub mod rules;
mod settings;

pub use forwarding::enable_forwarding;
pub use nft::Nft;
pub use passage::PASS_MARK;
pub use settings::FirewallSettings;
