//! Real packets through the real table, in network namespaces: what tenants,
//! containers and the world reach with it, each thing they must not reach shown
//! to be reachable without it. Needs root, `nft`, `iptables` and `ip`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bed;
mod change;
mod reach;
mod tested;
mod upkeep;
