//! Which entries of a log a reader has that follows it.
//!
//! Entries are numbered before they are committed: on PostgreSQL one with a lower number may
//! become visible after one with a higher. So a reader looks back behind the newest entry that it
//! has, and leaves out what it has already.

use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// How long an entry may become visible after one with a higher number: the longest transaction.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// How far a reader looks back that has lost its connection, in entries.
const LOOK_BACK: i64 = 1_000;

/// The entries that a reader has.
#[derive(Debug)]
pub struct SeenEntries {
    /// What has this number or a lower one is not looked for any more.
    floor: i64,
    /// The entries above it, with the time at which they were seen.
    seen: BTreeMap<i64, Instant>,
    /// How long they are looked for.
    settled_after: Duration,
}

impl SeenEntries {
    /// Begins behind the entry with this number; what is above and in `seen` was seen now.
    /// `is_ordered` says that entries become visible in the order of their numbers.
    pub(crate) fn new(
        floor: i64,
        seen: impl IntoIterator<Item = i64>,
        now: Instant,
        is_ordered: bool,
    ) -> Self {
        Self {
            floor,
            seen: seen.into_iter().map(|id| (id, now)).collect(),
            settled_after: match is_ordered {
                true => Duration::ZERO,
                false => SETTLED_AFTER,
            },
        }
    }

    /// Begins again where a reader had this entry last. Where entries are not in order, it gets
    /// some again, which it knows by their numbers.
    pub(crate) fn again(last: i64, now: Instant, is_ordered: bool) -> Self {
        let floor = match is_ordered {
            true => last,
            false => last.saturating_sub(LOOK_BACK),
        };
        Self::new(floor, [], now, is_ordered)
    }

    /// Returns the number behind which a reader looks now.
    pub fn floor(&mut self, now: Instant) -> i64 {
        let is_settled =
            |seen_at: Instant| now.saturating_duration_since(seen_at) >= self.settled_after;
        let settled = self.seen.iter().rev().find(|(_, at)| is_settled(**at));
        if let Some((id, _)) = settled {
            self.floor = *id;
            self.seen = self.seen.split_off(&(self.floor + 1));
        }
        self.floor
    }

    /// Notes an entry. Returns whether the reader does not have it yet.
    pub fn note(&mut self, id: i64, now: Instant) -> bool {
        if id <= self.floor || self.seen.contains_key(&id) {
            return false;
        }
        self.seen.insert(id, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_is_committed_late_is_seen_once() {
        let begun = Instant::now();
        let at = |secs| begun + Duration::from_secs(secs);
        let mut seen = SeenEntries::new(4, [6, 7], at(0), false);
        assert_eq!(seen.floor(at(1)), 4);
        assert!(!seen.note(4, at(1)), "before the beginning");
        assert!(!seen.note(7, at(1)));
        assert!(seen.note(5, at(1)), "it was committed after 6 and 7");
        assert!(!seen.note(5, at(1)));
        assert!(seen.note(9, at(20)));
        assert_eq!(seen.floor(at(29)), 4);
        assert_eq!(seen.floor(at(30)), 7);
        assert!(!seen.note(5, at(30)) && !seen.note(9, at(30)));
        assert!(seen.note(8, at(30)));
        assert_eq!(seen.floor(at(50)), 9);
        assert!(seen.seen.is_empty(), "nothing below the floor is kept");
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let now = Instant::now();
        let mut ordered = SeenEntries::again(2_000, now, true);
        assert_eq!(ordered.floor(now), 2_000);
        assert!(ordered.note(2_001, now));
        assert_eq!(ordered.floor(now), 2_001);
        let mut unordered = SeenEntries::again(2_000, now, false);
        assert_eq!(unordered.floor(now), 1_000);
        assert!(unordered.note(1_001, now), "its reader knows it");
    }
}
