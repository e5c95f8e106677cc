//! How long changes of the machine take, and how many fail, by kind of lane: for the operator's
//! metrics.

use crate::plan::Lane;
use domain::{DurationFigures, Durations};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What changes of one kind have taken since the process began.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneFigures {
    /// What is changed: `firewall`, `tunnel`, `speed`, `connections`, `container`, `stray`
    /// (a container of no tenant), `dns` (an AdGuard Home), `folder` or `image`.
    pub kind: &'static str,
    /// From the decision to its end, the wait for a permit included.
    pub durations: DurationFigures,
    pub failures: u64,
}

/// Counts changes.
#[derive(Debug)]
pub(crate) struct LaneMeter {
    kinds: [(Durations, AtomicU64); Lane::KINDS.len()],
}

impl Default for LaneMeter {
    fn default() -> Self {
        Self {
            kinds: [const { (Durations::new(), AtomicU64::new(0)) }; Lane::KINDS.len()],
        }
    }
}

impl LaneMeter {
    /// Counts a change that has ended.
    pub fn record(&self, lane: &Lane, took: Duration, succeeded: bool) {
        let (durations, failures) = &self.kinds[lane.kind()];
        durations.record(took);
        if !succeeded {
            failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns what was counted until now.
    pub fn figures(&self) -> Vec<LaneFigures> {
        let kinds = Lane::KINDS.iter().zip(&self.kinds);
        let figures = kinds.map(|(kind, (durations, failures))| LaneFigures {
            kind,
            durations: durations.figures(),
            failures: failures.load(Ordering::Relaxed),
        });
        figures.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Slot;

    #[test]
    fn each_change_is_counted_by_its_kind() {
        let meter = LaneMeter::default();
        let slot = Slot::new(7).unwrap();
        meter.record(&Lane::Dns(slot), Duration::from_millis(3), true);
        meter.record(&Lane::Dns(slot), Duration::from_millis(3), false);
        meter.record(&Lane::Image, Duration::from_secs(60), false);
        let figures = meter.figures();
        let of = |kind: &str| {
            let found = figures.iter().find(|f| f.kind == kind).unwrap();
            (found.durations.count, found.failures)
        };
        assert_eq!(
            (of("dns"), of("image"), of("tunnel")),
            ((2, 1), (1, 1), (0, 0))
        );
    }
}
