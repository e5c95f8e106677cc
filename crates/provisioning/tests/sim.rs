//! The node in a seeded simulation (`testkit::sim`). Every call may fail in every
//! way, the process dies between any two steps, external changes happen, and the
//! database refuses. The invariants must hold at every moment, and afterwards the
//! machine must match the spec. docs/reliability/faults.md lists the faults.
//!
//! `MALIKNODE_SIM_SEEDS` is the number of seeds (10,000), `MALIKNODE_SIM_FROM` the
//! first one (0). `MALIKNODE_SIM_SEED` replays one seed and prints its trace.
#![allow(clippy::unwrap_used)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use testkit::{
    samples,
    sim::{Sim, faults::Fault, logs::Logs, process, process::Report},
};

/// In every eighth seed, the log is searched for secrets.
const LOGGED: u64 = 8;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

fn play(seed: u64, traced: bool) -> Result<Report, String> {
    let sim = Sim::new(seed, samples::settings(Path::new("/simulated")), traced);
    let playing = || catch_unwind(AssertUnwindSafe(|| process::run(&sim)));
    let (result, logs) = if seed.is_multiple_of(LOGGED) || traced {
        let logs = Logs::default();
        (
            tracing::subscriber::with_default(logs.clone(), playing),
            logs.text(),
        )
    } else {
        (playing(), String::new())
    };
    let report = result.unwrap_or_else(|_| Err("it panicked".to_owned()))?;
    let secrets = std::mem::take(&mut sim.state().model.secrets);
    match secrets.iter().find(|s| logs.contains(*s)) {
        Some(_) => Err("a secret was logged".to_owned()),
        None => Ok(report),
    }
}

fn replay_command(seed: u64) -> String {
    format!("MALIKNODE_SIM_SEED={seed} cargo test -p provisioning --test sim -- --nocapture every")
}

#[test]
fn every_history_ends_at_the_spec() {
    if let Some(seed) = number("MALIKNODE_SIM_SEED") {
        let report = play(seed, true);
        eprintln!("{report:?}");
        assert!(report.is_ok(), "{report:?}");
        return;
    }
    let seeds = number("MALIKNODE_SIM_SEEDS").unwrap_or(10_000);
    let from = number("MALIKNODE_SIM_FROM").unwrap_or(0);
    let started_at = Instant::now();
    let next = AtomicU64::new(from);
    let sum = Mutex::new((Vec::new(), Duration::ZERO, 0));
    std::thread::scope(|threads| {
        for _ in 0..2 {
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
                            sum.1 = sum.1.max(r.converged);
                            sum.2 += r.changes;
                        }
                        Err(what) => sum.0.push((seed, what)),
                    }
                }
            });
        }
    });
    let (mut failed, slowest, changes) = sum.into_inner().unwrap();
    let took = started_at.elapsed();
    println!(
        "{seeds} seeds, {changes} changes of machines, in {took:.1?}; slowest to converge {slowest:?}"
    );
    failed.sort();
    for (seed, what) in failed.iter().take(10) {
        eprintln!("seed {seed}: {what}\n    {}", replay_command(*seed));
    }
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed",
        failed.len()
    );
}

#[test]
fn a_seed_replays_to_the_last_step() {
    for seed in (0..40).chain([1_000_003]) {
        let (a, b) = (play(seed, false), play(seed, false));
        assert_eq!(
            a.map(|r| r.hash),
            b.map(|r| r.hash),
            "{}",
            replay_command(seed)
        );
    }
}

#[test]
fn every_fault_is_documented() {
    let docs = include_str!("../../../docs/reliability/faults.md");
    for fault in Fault::ALL {
        assert!(docs.contains(&format!("`{fault:?}`")), "{fault:?}");
    }
}
