//! Tracks slots whose last call failed: until a later reading confirms it, the call
//! may have taken effect fully, partly or not at all (its response may be lost).

use domain::Slot;
use std::collections::{BTreeMap, BTreeSet};

/// The slots of one port that a failed call left in doubt, until a reading that
/// began after the failure is accepted.
#[derive(Debug, Default)]
pub(super) struct InDoubt {
    failures: u64,
    slots: BTreeMap<Slot, u64>,
    everything: Option<u64>,
    /// The number of failures when the reading under way began.
    failures_at_begin: u64,
}

impl InDoubt {
    /// Records the failure of a call about one slot.
    pub fn add(&mut self, slot: Slot) {
        self.failures += 1;
        self.slots.insert(slot, self.failures);
    }

    /// Records the failure of a call that may concern any slot.
    pub fn add_everything(&mut self) {
        self.failures += 1;
        self.everything = Some(self.failures);
    }

    /// Records that a reading began. It shows the effects of all earlier calls.
    pub fn reading_began(&mut self) {
        self.failures_at_begin = self.failures;
    }

    /// Records that the reading was accepted, except for slots that steps changed
    /// meanwhile: those steps may have been planned from what is in doubt.
    pub fn reading_accepted(&mut self, except: &BTreeSet<Slot>) {
        let at_begin = self.failures_at_begin;
        if let Some(failure) = self.everything {
            self.slots
                .extend(except.iter().map(|slot| (*slot, failure)));
        }
        self.slots
            .retain(|slot, failure| *failure > at_begin || except.contains(slot));
        self.everything = self.everything.filter(|failure| *failure > at_begin);
    }

    /// Returns the slots that are in doubt one by one.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.slots.keys().copied()
    }

    /// Returns whether every slot is in doubt.
    pub fn contains_everything(&self) -> bool {
        self.everything.is_some()
    }

    /// Returns whether a slot is in doubt.
    pub fn contains(&self, slot: Slot) -> bool {
        self.everything.is_some() || self.slots.contains_key(&slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reading_after_the_failure_ends_doubt() {
        let (mut in_doubt, other) = (InDoubt::default(), Slot::new(2).unwrap());
        let none = BTreeSet::new();
        in_doubt.reading_began();
        in_doubt.add(Slot::FIRST);
        in_doubt.reading_accepted(&none);
        assert!(in_doubt.contains(Slot::FIRST) && !in_doubt.contains(other));
        in_doubt.reading_began();
        in_doubt.add_everything();
        in_doubt.reading_accepted(&none);
        assert!(in_doubt.contains(Slot::FIRST) && in_doubt.contains(other));
        in_doubt.reading_began();
        in_doubt.reading_accepted(&[other].into());
        assert!(!in_doubt.contains(Slot::FIRST) && in_doubt.contains(other));
        in_doubt.reading_began();
        in_doubt.reading_accepted(&none);
        assert!(!in_doubt.contains(other));
    }
}
