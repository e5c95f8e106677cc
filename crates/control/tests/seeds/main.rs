//! `control` over the real store, the real node and the simulated machine of
//! `testkit::sim`, by seeds: people sign up, sign in, add, change and delete
//! devices and leave, several at one time, the operator suspends and deletes;
//! calls to the machine fail in every way, the process dies between any two
//! polls, whoever asked goes away, another process holds the database's lock,
//! clocks jump. A reference model stands beside it (`model.rs`): after every
//! step there must be an order of its operations that explains every answer,
//! every line of the audit log and every row (`explain.rs`). docs/RELIABILITY.md
//! tells the rest.
//!
//! SQLite has threads of its own, so a seed does not replay to the last step as
//! the node's do. It draws the same kinds of faults, the same lives, the same
//! clocks and the same people's wishes as long as the same things come of them;
//! which call meets which fault, and who is first, is the threads' own. What a
//! seed shows once it shows again within some tries, seldom at once.
//!
//! `MALIKNODE_SEEDS` says how many seeds (80), `MALIKNODE_SEEDS_FROM` the first
//! (0), `MALIKNODE_SEED` plays one with all it does, `MALIKNODE_SEED_TIMES` as
//! often as that.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod act;
mod asked;
mod chance;
mod draw;
mod explain;
mod life;
mod model;
mod seen;
mod specs;
mod step;
mod time;

use life::{History, Report};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use testkit::sim::logs::Logs;

/// Histories at one time: most of a history is waiting.
const AT_ONCE: usize = 6;

/// Seeds where nobody says how many.
const SEEDS: u64 = 80;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

/// What threads log that belong to no history: the database's, the hasher's.
fn others() -> &'static Logs {
    static LOGS: OnceLock<Logs> = OnceLock::new();
    LOGS.get_or_init(|| {
        let logs = Logs::default();
        let set = tracing::subscriber::set_global_default(logs.clone());
        set.unwrap();
        logs
    })
}

fn play(seed: u64, loud: bool) -> Result<Report, String> {
    let others = others();
    let logs = Logs::default();
    let mut history = History::new(seed, loud);
    let playing = || catch_unwind(AssertUnwindSafe(|| history.play()));
    let result = tracing::subscriber::with_default(logs.clone(), playing);
    let result = result.unwrap_or_else(|_| Err("a panic".to_owned()));
    let mut secrets = history.secrets.lock().unwrap().clone();
    secrets.append(&mut history.sim.state().world.secrets);
    let logs = [logs.text(), others.text()];
    if loud && result.is_err() {
        eprintln!("{}", logs[0]);
    }
    let report = result?;
    let in_logs = |s: &&String| logs.iter().any(|l| l.contains(s.as_str()));
    match secrets.iter().find(in_logs) {
        Some(_) => Err("a secret was logged".to_owned()),
        None => Ok(report),
    }
}

fn again(seed: u64) -> String {
    format!(
        "MALIKNODE_SEED={seed} MALIKNODE_SEED_TIMES=20 cargo test -p control --test seeds -- --nocapture"
    )
}

#[derive(Default)]
struct Sum {
    failed: Vec<(u64, String)>,
    asked: u64,
    answered: u64,
    revoked: (u64, u64),
    deaths: u64,
    slowest: Duration,
}

#[test]
fn every_answer_is_explained_and_every_history_ends_at_the_model() {
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
        for _ in 0..AT_ONCE {
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
                            sum.asked += r.asked;
                            sum.answered += r.answered;
                            sum.revoked.0 += r.revoked.0;
                            sum.revoked.1 += r.revoked.1;
                            sum.deaths += r.deaths;
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
        "{seeds} seeds in {:.1?}: {} operations, {} answered, {} revocations, {} acknowledged, {} deaths; slowest to converge {:?}",
        begun.elapsed(),
        sum.asked,
        sum.answered,
        sum.revoked.0,
        sum.revoked.1,
        sum.deaths,
        sum.slowest
    );
    sum.failed.sort();
    for (seed, what) in sum.failed.iter().take(10) {
        eprintln!("seed {seed}: {what}\n    {}", again(*seed));
    }
    let failed = sum.failed.len();
    assert!(failed == 0, "{failed} of {seeds} seeds failed");
}
