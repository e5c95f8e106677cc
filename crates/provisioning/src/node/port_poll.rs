//! The polling of one port: when a reading is due, and whether its result is valid.

use super::in_doubt::InDoubt;
use domain::Slot;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// How many overtaken readings in a row are discarded before one is accepted.
const MAX_OVERTAKEN: u8 = 3;

/// The state of the polling of a port.
#[derive(Debug, Default)]
pub(super) struct PortPoll {
    /// Counts the changes that make readings under way outdated.
    pub epoch: u64,
    /// Whether the port has to be read again.
    pub stale: bool,
    /// Whether a reading is under way.
    pub reading: bool,
    overtaken: u8,
    pub not_before: Option<Instant>,
    /// Slots that our steps have changed since the reading began.
    pub changed_slots: BTreeSet<Slot>,
    pub in_doubt: InDoubt,
    /// AdGuard Homes only: readings in a row in which it did not run.
    pub silent: u32,
}

impl PortPoll {
    /// Creates the state of a port that was never read.
    pub fn new() -> Self {
        Self {
            stale: true,
            ..Self::default()
        }
    }

    /// Begins a reading where one is due, and returns its epoch.
    pub fn begin(&mut self, now: Instant) -> Option<u64> {
        let due = self.stale && !self.reading && self.not_before.is_none_or(|t| t <= now);
        due.then(|| {
            (self.stale, self.reading, self.not_before) = (false, true, None);
            self.changed_slots.clear();
            self.in_doubt.reading_began();
            self.epoch
        })
    }

    /// Ends a reading. Returns whether its result is to be accepted.
    pub fn end(&mut self, epoch: u64) -> bool {
        self.reading = false;
        let fresh = epoch == self.epoch;
        self.overtaken = if fresh { 0 } else { self.overtaken + 1 };
        self.stale |= !fresh;
        if self.overtaken > MAX_OVERTAKEN {
            self.overtaken = 0;
            return true;
        }
        fresh
    }

    /// Ends a reading of a port that is tracked by slot. Returns whether its result
    /// is to be accepted for the slots that no step has changed meanwhile.
    pub fn end_by_slot(&mut self, epoch: u64, readable: bool) -> bool {
        self.reading = false;
        // Without an observation there is nothing newer to keep for changed slots.
        let accepted = epoch == self.epoch && (readable || self.changed_slots.is_empty());
        self.stale |= !accepted || !self.changed_slots.is_empty();
        if accepted {
            self.in_doubt.reading_accepted(&self.changed_slots);
        }
        accepted
    }
}
