//! Faults with real parts: the real binary, a real Docker engine, the real
//! AdGuard Home and WireGuard clients in namespaces, while processes are
//! killed, other hands meddle, and the machine boots badly.
//!
//! Runs in a test bed only: `./dev test kills drift boot`, and for longer
//! `./dev soak`. It shares the bed's code with the packet tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../packets/bed.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod bed;
mod boot;
#[path = "../packets/browser.rs"]
mod browser;
#[path = "../packets/dns.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod dns;
mod drift;
mod engine;
mod flow;
mod kills;
#[path = "../packets/stack.rs"]
#[allow(dead_code, reason = "the packet tests use the rest")]
mod stack;
mod truth;

use dns::Answer;
use std::{
    net::Ipv4Addr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// One bed, one machine: the scenarios take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that no list blocks; the upstream answers every name.
const ALLOWED: &str = "allowed.example.test";

fn internet() -> Ipv4Addr {
    bed::address("MALIKNODE_BED_INTERNET")
}

/// Whether a device gets an answer of its filter through its tunnel.
fn resolves(device: &stack::Device, gateway: Ipv4Addr) -> bool {
    let once = Duration::from_millis(700);
    dns::ask_once(&device.namespace, gateway, ALLOWED, once) == Answer::Address(internet())
}

/// Waits until something holds, and says after how long.
///
/// # Panics
/// Where it does not within `limit`, with what was wrong last.
fn converges(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<(), String>,
) -> Duration {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(()) => return begun.elapsed(),
            Err(why) if begun.elapsed() > limit => panic!("{what}: still after {limit:?}: {why}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A number from the environment.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |v| {
        v.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {v:?}"))
    })
}
