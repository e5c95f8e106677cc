//! Sends real packets through the real table in network namespaces and checks what
//! tenants, containers and outsiders reach. For everything that they must not
//! reach, the tests first show that it is reachable without the table. They need
//! root, `nft`, `iptables` and `ip`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod base;
mod bed;
mod change;
mod dns6;
mod external_changes;
mod fixture;
mod icmp;
mod ipv6;
mod limits;
mod links;
mod lock;
mod moved;
mod neighbours;
mod raw;
mod reach;
mod refusals;
mod tunnels;
