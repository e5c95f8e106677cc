//! AdGuard Home: its configuration, its API, and the block lists that all
//! tenants share.
//!
//! Invariants: a configuration is written before the first start. From then on it
//! belongs to AdGuard Home and changes only through the API while that runs; before
//! a start, only the few keys change that bound the load, and the user by which we sign
//! in. A client in AdGuard Home is ours only if it has an id of ours (`mn-…`). The tenant's
//! own clients are never changed, nor are settings that a tenant made on one of
//! ours, apart from its policy. Of rewrites, ours are the names of devices (`names`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

// Hidden modules are public for the fuzz targets (crates/fuzzing) only.
mod api;
mod aside;
#[doc(hidden)]
pub mod clients;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod config_owner;
mod files;
mod kept;
mod leftovers;
mod limits;
pub mod lists;
mod lookups;
#[doc(hidden)]
pub mod names;
#[doc(hidden)]
pub mod policy;
mod port;
mod prepare;
#[doc(hidden)]
pub mod responses;
#[doc(hidden)]
pub mod stored_config;
mod tls;

pub use lists::{List, ListSource, ListStatus, Lists};
pub use port::AdGuard;

use std::net::Ipv4Addr;

/// Settings that every tenant's AdGuard Home shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdGuardSettings {
    /// Resolvers for names that are not blocked, as AdGuard Home writes them
    /// (`1.2.3.4`, `tls://…`, `https://…`). Never empty.
    pub upstreams: Vec<String>,
    /// Plain resolvers that resolve the names of upstreams.
    pub bootstrap: Vec<Ipv4Addr>,
    /// Resolvers for when no upstream answers.
    pub fallback: Vec<String>,
    /// Addresses outside a tenant's subnet that may ask: the host's address on
    /// the bridge, so that the operator can try a tenant's DNS.
    pub also_allowed: Vec<Ipv4Addr>,
    /// Where a container mounts the shared lists.
    pub lists_mount: String,
}

impl Default for AdGuardSettings {
    /// Returns Quad9's resolvers without filtering and without logs, over HTTPS,
    /// with its plain addresses as the fallback.
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
