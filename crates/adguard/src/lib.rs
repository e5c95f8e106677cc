//! AdGuard Home: its configuration, its API, and the block lists every tenant
//! shares.
//!
//! Invariants: a configuration is written once, before the first start; from
//! then on it is AdGuard Home's own and changes through its API only. Of its
//! clients only those that carry an id of ours (`mn-…`) are ours; the tenant's
//! own stay, and so does what a tenant set on one of ours besides its policy.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

// Public for the fuzz targets (crates/fuzzing) only, as the hidden ones below.
#[doc(hidden)]
pub mod answers;
mod api;
#[doc(hidden)]
pub mod clients;
#[doc(hidden)]
pub mod config;
pub mod lists;
#[doc(hidden)]
pub mod policy;
mod port;
#[doc(hidden)]
pub mod prepare;

pub use lists::{List, ListStatus, Lists, Source};
pub use port::AdGuard;

use std::net::Ipv4Addr;

/// The port of a container's API and UI.
pub const UI_PORT: u16 = 3000;

/// What every tenant's AdGuard Home has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdGuardSettings {
    /// Resolvers that answer what is not blocked, as AdGuard Home writes them
    /// (`1.2.3.4`, `tls://…`, `https://…`). Not empty.
    pub upstreams: Vec<String>,
    /// Plain resolvers, asked for the addresses of upstreams that are names.
    pub bootstrap: Vec<Ipv4Addr>,
    /// Resolvers asked where no upstream answers.
    pub fallback: Vec<String>,
    /// Addresses besides a tenant's subnet that may ask: the host's own on
    /// the bridge, so that the operator can try a tenant's DNS.
    pub also_allowed: Vec<Ipv4Addr>,
    /// Where the shared lists are mounted in a container.
    pub lists_mount: String,
}

impl Default for AdGuardSettings {
    /// Quad9 without filtering and without logs, over HTTPS; its plain
    /// addresses where HTTPS is in the way.
    fn default() -> Self {
        let quad9 = [Ipv4Addr::new(9, 9, 9, 10), Ipv4Addr::new(149, 112, 112, 10)];
        Self {
            upstreams: vec!["https://dns10.quad9.net/dns-query".to_owned()],
            bootstrap: quad9.to_vec(),
            fallback: quad9.map(|a| a.to_string()).to_vec(),
            also_allowed: Vec::new(),
            lists_mount: "/lists".to_owned(),
        }
    }
}
