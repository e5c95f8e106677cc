//! The contract of the WireGuard port, which every implementation fulfils: the
//! kernel's, the userspace one and fakes.
//!
//! A [`ContractHost`] is the machine below the port: it makes the
//! implementation, makes external changes, and makes real WireGuard clients
//! whose packets are sent over loopback. Where it has no clients (a fake has
//! none), the cases that need traffic are counted and printed as skipped.
//!
//! Every case starts from a machine without interfaces of ours.

mod cases;
mod host;
mod samples;
mod traffic;

pub use host::{Case, Client, ClientSetup, ContractHost};

use futures_util::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

/// The result of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that needed a client where the host has none.
    pub skipped: usize,
    /// Cases that failed, with their messages.
    pub failed: Vec<(&'static str, String)>,
}

/// A case that takes longer has hung. The slowest takes 10 s, and many times
/// that in a virtual machine on a busy host.
const LIMIT: Duration = Duration::from_secs(240);

/// Returns every case.
pub fn cases() -> Vec<Case> {
    [cases::ALL, traffic::ALL].concat()
}

/// Runs every case whose name contains `filter`, one after the other, and
/// prints each as libtest does.
pub async fn run_all(host: &dyn ContractHost, filter: &str) -> Tally {
    let mut tally = Tally::default();
    for (name, case) in cases().into_iter().filter(|(n, _)| n.contains(filter)) {
        clear(host).await;
        let run = AssertUnwindSafe(tokio::time::timeout(LIMIT, case(host))).catch_unwind();
        let verdict = match run.await {
            Ok(Ok(true)) => {
                tally.passed += 1;
                "ok".to_owned()
            }
            Ok(Ok(false)) => {
                tally.skipped += 1;
                "skipped: no client".to_owned()
            }
            Ok(Err(_)) => {
                tally
                    .failed
                    .push((name, "it did not end in time".to_owned()));
                "FAILED (time)".to_owned()
            }
            Err(panic) => {
                tally.failed.push((name, panic_message(&*panic)));
                "FAILED".to_owned()
            }
        };
        println!("test {name} ... {verdict}");
    }
    clear(host).await;
    tally
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Removes every interface with a slot's name.
async fn clear(host: &dyn ContractHost) {
    let wireguard = host.wireguard().await;
    for (slot, interface) in wireguard.observe().await.unwrap_or_default() {
        if interface.owner.is_none() || wireguard.delete(slot).await.is_err() {
            host.remove_externally(slot).await;
        }
    }
}
