//! An installation of several machines: the real binary as control plane on
//! PostgreSQL, workers on machines of their own (network, mounts, Docker engine), the
//! real AdGuard Home, and WireGuard clients in namespaces.
//!
//! They run in a test bed only: `./dev test nodes`. They share code with the packet
//! tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../packets/browser.rs"]
#[allow(dead_code, reason = "the packet and fault tests use the rest")]
mod browser;
mod cluster;
#[path = "../packets/dns.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod dns;
mod joining;
mod machine;
#[path = "../packets/netns.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod netns;
mod outages;
#[path = "../../../crates/store/tests/contract/postgres.rs"]
mod postgres;
#[path = "../packets/stack/mod.rs"]
#[allow(dead_code, reason = "the packet and fault tests use the rest")]
mod stack;
mod tenants;

use dns::Answer;
use std::{
    net::Ipv4Addr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Waits for exclusive use of the bed: the tests share its machines.
fn exclusive_bed() -> MutexGuard<'static, ()> {
    static BED: Mutex<()> = Mutex::new(());
    BED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that no list blocks. The test upstream answers every name.
const ALLOWED: &str = "allowed.example.test";
/// A name on the starter list, which works without a download.
const LISTED: &str = "doubleclick.net";

/// Returns the address that the test upstream gives for every name.
fn internet() -> Ipv4Addr {
    netns::address("MALIKNODE_BED_INTERNET")
}

/// Returns whether a device gets an answer from its filter through its tunnel.
fn resolves(device: &stack::Device, gateway: Ipv4Addr) -> bool {
    let once = Duration::from_millis(700);
    dns::ask_once(&device.namespace, gateway, ALLOWED, once) == Answer::Address(internet())
}

/// Returns whether the filter of a device blocks a listed name.
fn blocks(device: &stack::Device, gateway: Ipv4Addr) -> bool {
    let answer = dns::ask_udp(&device.namespace, gateway, LISTED);
    matches!(
        answer,
        Answer::Address(Ipv4Addr::UNSPECIFIED) | Answer::Empty(_)
    )
}
