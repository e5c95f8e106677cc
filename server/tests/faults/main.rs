//! Fault tests with real parts: the real binary, a real Docker engine, the real
//! AdGuard Home and WireGuard clients in namespaces, while processes are
//! killed, external changes are made, and the machine boots under bad
//! conditions.
//!
//! They run in a test bed only: `./dev test kills drift boot`, and for longer
//! `./dev soak`. They share code with the packet tests. The suites are
//! addressed by the names of the modules `kills`, `drift` and `boot`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod boot;
#[path = "../packets/browser.rs"]
#[allow(dead_code, reason = "the tests of workers use the rest")]
mod browser;
mod db_vs_machine;
#[path = "../packets/dns.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod dns;
mod dns_probe;
mod drift;
mod engine;
mod kills;
#[path = "../packets/netns.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod netns;
#[path = "../packets/stack/mod.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod stack;

use dns::Answer;
use std::{
    net::Ipv4Addr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Waits for exclusive use of the bed: the tests share one machine.
fn exclusive_bed() -> MutexGuard<'static, ()> {
    static BED: Mutex<()> = Mutex::new(());
    BED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that no list blocks. The test upstream answers every name.
const ALLOWED: &str = "allowed.example.test";

/// Returns the address that the test upstream gives for every name.
fn internet() -> Ipv4Addr {
    netns::address("MALIKNODE_BED_INTERNET")
}

/// Returns whether a device gets an answer from its filter through its tunnel.
fn resolves(device: &stack::Device, gateway: Ipv4Addr) -> bool {
    let once = Duration::from_millis(700);
    dns::ask_once(&device.namespace, gateway, ALLOWED, once) == Answer::Address(internet())
}

/// Waits until a check succeeds, and returns how long that took.
///
/// # Panics
/// It fails for `limit`. The message contains the last error.
fn converges(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> Result<(), String>,
) -> Duration {
    let begun = Instant::now();
    loop {
        match check() {
            Ok(()) => return begun.elapsed(),
            Err(why) if begun.elapsed() > limit => panic!("{what}: still after {limit:?}: {why}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Returns a number from the environment, or its default.
fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| {
        v.parse()
            .unwrap_or_else(|_| panic!("{name} is a env_number, not {v:?}"))
    })
}
