//! An installation of several machines: the real binary as control plane on
//! PostgreSQL, workers on machines of their own (network, mounts, Docker engine), the
//! real AdGuard Home, and WireGuard clients in namespaces.
//!
//! They run in a test bed only: `./dev test nodes`. They share code with the packet
//! tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adguard_home;
mod admission;
#[path = "../packets/browser.rs"]
#[allow(dead_code, reason = "the packet and fault tests use the rest")]
mod browser;
mod cluster;
mod control_planes;
#[path = "../packets/dns.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod dns;
#[path = "../faults/dns_probe.rs"]
mod dns_probe;
mod drift;
mod endpoint_names;
#[path = "../packets/iperf.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod iperf;
mod joining;
mod kills;
mod lifecycle;
mod live;
mod machine;
mod machines;
mod moving;
mod moving_local;
#[path = "../../../crates/nameserver/tests/bind/named.rs"]
#[allow(dead_code, reason = "its own tests use the rest")]
mod named;
#[path = "../packets/netns.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod netns;
mod outages;
mod pages;
mod plans;
mod policies;
#[path = "../../../crates/store/tests/contract/postgres.rs"]
mod postgres;
mod several;
#[path = "../packets/stack/mod.rs"]
#[allow(dead_code, reason = "the packet and fault tests use the rest")]
mod stack;
mod stream;
mod tenants;
mod transfer;

use dns::Answer;
use std::{net::Ipv4Addr, time::Duration};

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
