//! How long the database takes, and how often it fails: for the operator's metrics. A process
//! has one database, so the counts are the process's.

use super::error::{Result, StoreError};
use domain::{DurationFigures, Durations};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A statement that answers with rows.
    Query,
    /// A statement that answers with a number of rows.
    Execute,
    /// The wait for a transaction that writes, and its begin.
    Begin,
    /// A commit.
    Commit,
}

struct Meter {
    durations: Durations,
    /// Failures of the database itself: it is away, full or does not answer.
    outages: AtomicU64,
    /// Other errors, such as a constraint that is violated, of which many are expected.
    refusals: AtomicU64,
}

impl Meter {
    const fn new() -> Self {
        Self {
            durations: Durations::new(),
            outages: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        }
    }
}

/// In the order of [`Operation`].
static METERS: [Meter; 4] = [const { Meter::new() }; 4];
const NAMES: [&str; 4] = ["query", "execute", "begin", "commit"];

/// What one kind of operation has taken since the process began.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseFigures {
    /// `query`, `execute`, `begin` or `commit`.
    pub operation: &'static str,
    pub durations: DurationFigures,
    /// How many failed because the database is away, full or does not answer.
    pub outages: u64,
    /// How many it refused, e.g. because of a constraint; many of them are expected.
    pub refusals: u64,
}

/// Counts an operation that began then.
pub(crate) fn record<T>(operation: Operation, begun: Instant, result: &Result<T>) {
    let meter = &METERS[operation as usize];
    meter.durations.record(begun.elapsed());
    match result {
        Ok(_) | Err(StoreError::NotFound) => {}
        Err(e) if e.is_outage() => drop(meter.outages.fetch_add(1, Ordering::Relaxed)),
        Err(_) => drop(meter.refusals.fetch_add(1, Ordering::Relaxed)),
    }
}

/// Returns what the database has taken since the process began.
pub fn database_figures() -> Vec<DatabaseFigures> {
    let of = |(operation, meter): (&&'static str, &Meter)| DatabaseFigures {
        operation,
        durations: meter.durations.figures(),
        outages: meter.outages.load(Ordering::Relaxed),
        refusals: meter.refusals.load(Ordering::Relaxed),
    };
    NAMES.iter().zip(&METERS).map(of).collect()
}
