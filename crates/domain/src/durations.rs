//! How long something takes: counts by upper bound, for the operator's metrics. Recording is
//! two additions, so it costs nothing that could be measured where it happens.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The upper bounds of the counts, in microseconds. What takes longer than the last is
/// counted too.
const BOUNDS_MICROS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Durations that are counted. A reading while others record may miss the last of them.
#[derive(Debug)]
pub struct Durations {
    /// One for each bound, and one for what is above the last.
    counts: [AtomicU64; BOUNDS_MICROS.len() + 1],
    micros: AtomicU64,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DurationFigures {
    /// How many took at most so many seconds, and longer than the bound before; the last
    /// bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// All of them together, in seconds.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
}

impl Durations {
    /// Returns a count of none.
    pub const fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BOUNDS_MICROS.len() + 1],
            micros: AtomicU64::new(0),
        }
    }

    /// Counts one.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.iter().position(|bound| micros <= *bound);
        self.counts[bucket.unwrap_or(BOUNDS_MICROS.len())].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Returns what was counted until now.
    pub fn figures(&self) -> DurationFigures {
        let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6);
        let counts = self.counts.iter().map(|c| c.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        DurationFigures {
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
            sum: self.micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

impl Default for Durations {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_below_its_bound() {
        let durations = Durations::new();
        for millis in [0, 1, 3, 60_000] {
            durations.record(Duration::from_millis(millis));
        }
        let figures = durations.figures();
        assert_eq!((figures.count, figures.sum), (4, 60.004));
        let counted: Vec<_> = figures.buckets.iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(
            counted,
            [&(0.0005, 1), &(0.001, 1), &(0.005, 1), &(f64::INFINITY, 1)]
        );
    }
}
