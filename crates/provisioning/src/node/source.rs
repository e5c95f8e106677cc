//! One reading: when it is due, and whether its answer is to be believed.

use super::doubt::Doubt;
use domain::Slot;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Overtaken answers in a row before one is believed.
const OVERTAKEN_MAX: u8 = 3;

#[derive(Debug, Default)]
pub(super) struct Source {
    pub epoch: u64,
    pub dirty: bool,
    pub reading: bool,
    overtaken: u8,
    pub not_before: Option<Instant>,
    /// Slots that steps changed since the reading began.
    pub touched: BTreeSet<Slot>,
    pub doubt: Doubt,
    /// AdGuard Homes only: answers in a row in which it did not run.
    pub silent: u32,
}

impl Source {
    pub fn dirty() -> Self {
        Self {
            dirty: true,
            ..Self::default()
        }
    }

    /// Begins a reading where one is due.
    pub fn begin(&mut self, now: Instant) -> Option<u64> {
        let due = self.dirty && !self.reading && self.not_before.is_none_or(|t| t <= now);
        due.then(|| {
            (self.dirty, self.reading, self.not_before) = (false, true, None);
            self.touched.clear();
            self.doubt.reading_begins();
            self.epoch
        })
    }

    /// Ends a reading; whether its answer is to be believed.
    pub fn end(&mut self, epoch: u64) -> bool {
        self.reading = false;
        let fresh = epoch == self.epoch;
        self.overtaken = if fresh { 0 } else { self.overtaken + 1 };
        self.dirty |= !fresh;
        if self.overtaken > OVERTAKEN_MAX {
            self.overtaken = 0;
            return true;
        }
        fresh
    }

    /// Ends a reading of a port that is kept by slot; whether its answer is to
    /// be believed for the slots that no step touched meanwhile.
    pub fn end_by_slot(&mut self, epoch: u64, known: bool) -> bool {
        self.reading = false;
        // Without a picture of our own there is nothing to keep for them.
        let believed = epoch == self.epoch && (known || self.touched.is_empty());
        self.dirty |= !believed || !self.touched.is_empty();
        if believed {
            self.doubt.reading_believed(&self.touched);
        }
        believed
    }
}
