//! What is not known since a call failed: it may have taken effect all the
//! same (its answer was lost), wholly or in part.

use domain::Slot;
use std::collections::{BTreeMap, BTreeSet};

/// Which slots of one port a failed call left unknown, until a reading that
/// began after the failure.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    failures: u64,
    slots: BTreeMap<Slot, u64>,
    everything: Option<u64>,
    /// Failures there had been when the reading under way began.
    seen: u64,
}

impl Doubt {
    /// A call about one slot failed.
    pub fn about(&mut self, slot: Slot) {
        self.failures += 1;
        self.slots.insert(slot, self.failures);
    }

    /// A call that may have been about any slot failed.
    pub fn everything(&mut self) {
        self.failures += 1;
        self.everything = Some(self.failures);
    }

    /// A reading begins; it sees what earlier calls have done.
    pub fn reading_begins(&mut self) {
        self.seen = self.failures;
    }

    /// The reading's answer is believed, but for some slots that were worked on
    /// meanwhile: by steps that may have been planned from what is in doubt.
    pub fn reading_believed(&mut self, but: &BTreeSet<Slot>) {
        let seen = self.seen;
        if let Some(failure) = self.everything {
            self.slots.extend(but.iter().map(|slot| (*slot, failure)));
        }
        self.slots
            .retain(|slot, failure| *failure > seen || but.contains(slot));
        self.everything = self.everything.filter(|failure| *failure > seen);
    }

    /// The slots it is about, one by one.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.slots.keys().copied()
    }

    /// Whether it is about every slot.
    pub fn is_about_everything(&self) -> bool {
        self.everything.is_some()
    }

    /// Whether it is about a slot.
    pub fn is_about(&self, slot: Slot) -> bool {
        self.everything.is_some() || self.slots.contains_key(&slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reading_that_began_after_the_failure_ends_a_doubt() {
        let (mut doubt, other) = (Doubt::default(), Slot::new(2).unwrap());
        let none = BTreeSet::new();
        doubt.reading_begins();
        doubt.about(Slot::FIRST);
        doubt.reading_believed(&none);
        assert!(doubt.is_about(Slot::FIRST) && !doubt.is_about(other));
        doubt.reading_begins();
        doubt.everything();
        doubt.reading_believed(&none);
        assert!(doubt.is_about(Slot::FIRST) && doubt.is_about(other));
        doubt.reading_begins();
        doubt.reading_believed(&[other].into());
        assert!(!doubt.is_about(Slot::FIRST) && doubt.is_about(other));
        doubt.reading_begins();
        doubt.reading_believed(&none);
        assert!(!doubt.is_about(other));
    }
}
