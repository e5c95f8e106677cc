//! Seeded tests of `control` over the real store, the real node and the
//! simulated machine of `testkit::sim`. Clients sign up, sign in, add, change
//! and delete devices and delete their accounts, several at the same time; the
//! operator suspends and deletes. Calls to the machine fail in every way, the
//! process dies between any two polls, clients go away, another process locks
//! the database, clocks jump. Devices' counters count and restart, months begin,
//! and plans' limits change (`quota.rs`). A reference model is compared with it
//! (`model.rs`): after every step there must be an order of its operations that
//! explains every answer, every line of the audit log and every row
//! (`explain.rs`). docs/reliability/testing.md describes the rest.
//!
//! SQLite has threads of its own, so a seed does not replay to the last step as
//! the node's seeds do. It draws the same kinds of faults, the same lives, the
//! same clocks and the same requests as long as they have the same results;
//! which call meets which fault, and which operation is first, depends on the
//! threads. A failure of a seed occurs again within some attempts, seldom at
//! the first.
//!
//! `MALIKNODE_SEEDS` sets the number of seeds (80), `MALIKNODE_SEEDS_FROM` the
//! first one (0), `MALIKNODE_SEED` plays a single one and prints what it does,
//! `MALIKNODE_SEED_TIMES` times.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../rig/settings.rs"]
mod settings;

mod acknowledged;
mod data;
mod entropy;
mod explain;
mod generator;
mod history;
mod model;
mod operations;
mod perform;
mod plans;
mod quota;
mod snapshot;
mod specs;
mod step;
mod tenant;
mod time;
mod traffic;

use history::{History, Report};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use testkit::sim::logs::Logs;

/// Histories played at the same time: most of a history is waiting.
const CONCURRENT: usize = 6;

/// The default number of seeds.
const SEEDS: u64 = 80;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

/// Returns the logs of threads that belong to no history: the database's, the
/// hasher's.
fn shared_logs() -> &'static Logs {
    static LOGS: OnceLock<Logs> = OnceLock::new();
    LOGS.get_or_init(|| {
        let logs = Logs::default();
        let set = tracing::subscriber::set_global_default(logs.clone());
        set.unwrap();
        logs
    })
}

fn play(seed: u64, verbose: bool) -> Result<Report, String> {
    let shared = shared_logs();
    let logs = Logs::default();
    let mut history = History::new(seed, verbose);
    let playing = || catch_unwind(AssertUnwindSafe(|| history.play()));
    let result = tracing::subscriber::with_default(logs.clone(), playing);
    let result = result.unwrap_or_else(|_| Err("a panic".to_owned()));
    let mut secrets = history.secrets.lock().unwrap().clone();
    secrets.append(&mut history.sim.state().model.secrets);
    let logs = [logs.text(), shared.text()];
    if verbose && result.is_err() {
        eprintln!("{}", logs[0]);
    }
    let report = result?;
    let in_logs = |s: &&String| logs.iter().any(|l| l.contains(s.as_str()));
    match secrets.iter().find(in_logs) {
        Some(_) => Err("a secret was logged".to_owned()),
        None => Ok(report),
    }
}

fn replay_command(seed: u64) -> String {
    format!(
        "MALIKNODE_SEED={seed} MALIKNODE_SEED_TIMES=20 cargo test -p control --test seeds -- --nocapture"
    )
}

#[derive(Default)]
struct Sum {
    failed: Vec<(u64, String)>,
    operations: u64,
    answered: u64,
    revoked: (u64, u64),
    deaths: u64,
    /// Months that began, and quotas that were reached.
    quotas: (u64, u64),
    slowest: Duration,
}

#[test]
fn every_history_is_explained_by_the_model() {
    if let Some(seed) = number("MALIKNODE_SEED") {
        for _ in 0..number("MALIKNODE_SEED_TIMES").unwrap_or(1) {
            let report = play(seed, true);
            eprintln!("{report:?}");
            assert!(report.is_ok(), "{}", report.unwrap_err());
        }
        return;
    }
    let seeds = number("MALIKNODE_SEEDS").unwrap_or(SEEDS);
    let from = number("MALIKNODE_SEEDS_FROM").unwrap_or(0);
    let begun = Instant::now();
    let next = AtomicU64::new(from);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|threads| {
        for _ in 0..CONCURRENT {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        break;
                    }
                    let result = play(seed, false);
                    let mut sum = sum.lock().unwrap();
                    match result {
                        Ok(r) => {
                            sum.operations += r.operations;
                            sum.answered += r.answered;
                            sum.revoked.0 += r.revoked.0;
                            sum.revoked.1 += r.revoked.1;
                            sum.deaths += r.deaths;
                            sum.quotas.0 += r.quotas.0;
                            sum.quotas.1 += r.quotas.1;
                            sum.slowest = sum.slowest.max(r.converged);
                        }
                        Err(what) => sum.failed.push((seed, what)),
                    }
                }
            });
        }
    });
    let mut sum = sum.into_inner().unwrap();
    println!(
        "{seeds} seeds in {:.1?}: {} operations, {} answered, {} revocations, {} acknowledged, {} deaths, {} new months, {} quotas reached; slowest to converge {:?}",
        begun.elapsed(),
        sum.operations,
        sum.answered,
        sum.revoked.0,
        sum.revoked.1,
        sum.deaths,
        sum.quotas.0,
        sum.quotas.1,
        sum.slowest
    );
    sum.failed.sort();
    for (seed, what) in sum.failed.iter().take(10) {
        eprintln!("seed {seed}: {what}\n    {}", replay_command(*seed));
    }
    let failed = sum.failed.len();
    assert!(failed == 0, "{failed} of {seeds} seeds failed");
}
