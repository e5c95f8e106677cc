//! Which entries of a log a reader has that follows it.
//!
//! Entries are numbered before they are committed: on PostgreSQL one with a lower number may
//! become visible after one with a higher. So a reader looks back behind the newest entry that it
//! has, and leaves out what it has already.

use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// How long an entry may become visible after one with a higher number: the longest transaction.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// How far a reader looks back that has lost its connection, or reads many entries at once, in
/// numbers of entries.
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
    /// How far behind the last entry of many they are looked for.
    look_back: i64,
    /// The entry up to which was read, where there may be more at once.
    read_to: Option<i64>,
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
        let (settled_after, look_back) = match is_ordered {
            true => (Duration::ZERO, 0),
            false => (SETTLED_AFTER, LOOK_BACK),
        };
        Self {
            floor,
            seen: seen.into_iter().map(|id| (id, now)).collect(),
            settled_after,
            look_back,
            read_to: None,
        }
    }

    /// Begins again where a reader had this entry last. Where entries are not in order, it gets
    /// some again, which it knows by their numbers.
    pub(crate) fn again(last: i64, now: Instant, is_ordered: bool) -> Self {
        let mut again = Self::new(last, [], now, is_ordered);
        again.floor = last.saturating_sub(again.look_back);
        again
    }

    /// Returns the number behind which a reader reads now. It is the same one until
    /// [`has_read`](Self::has_read) says that it has read there.
    pub fn place(&mut self, now: Instant) -> i64 {
        match self.read_to {
            Some(last) => last,
            None => self.settled_floor(now),
        }
    }

    /// Returns whether there may be more at once than what was read.
    pub fn is_behind(&self) -> bool {
        self.read_to.is_some()
    }

    /// Notes that a reader has read from its place, and up to which entry, if there may be more.
    /// Those far behind that one are not looked for any more: otherwise one who reads a long log
    /// would know all of it, and read it again with the next entry.
    pub fn has_read(&mut self, to: Option<i64>) {
        self.read_to = to;
        if let Some(last) = to {
            self.raise(last.saturating_sub(self.look_back));
        }
    }

    fn raise(&mut self, floor: i64) {
        if floor > self.floor {
            self.floor = floor;
            self.seen = self.seen.split_off(&floor.saturating_add(1));
        }
    }

    fn settled_floor(&mut self, now: Instant) -> i64 {
        let is_settled =
            |seen_at: Instant| now.saturating_duration_since(seen_at) >= self.settled_after;
        let settled = self.seen.iter().rev().find(|(_, at)| is_settled(**at));
        if let Some((id, _)) = settled {
            self.raise(*id);
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
        assert_eq!(seen.place(at(1)), 4);
        assert!(!seen.note(4, at(1)), "before the beginning");
        assert!(!seen.note(7, at(1)));
        assert!(seen.note(5, at(1)), "it was committed after 6 and 7");
        assert!(!seen.note(5, at(1)));
        assert!(seen.note(9, at(20)));
        assert_eq!(seen.place(at(29)), 4);
        assert_eq!(seen.place(at(30)), 7);
        assert!(!seen.note(5, at(30)) && !seen.note(9, at(30)));
        assert!(seen.note(8, at(30)));
        assert_eq!(seen.place(at(50)), 9);
        assert!(seen.seen.is_empty(), "nothing below the floor is kept");
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let now = Instant::now();
        let mut ordered = SeenEntries::again(2_000, now, true);
        assert_eq!(ordered.place(now), 2_000);
        assert!(ordered.note(2_001, now));
        assert_eq!(ordered.place(now), 2_001);
        let mut unordered = SeenEntries::again(2_000, now, false);
        assert_eq!(unordered.place(now), 1_000);
        assert!(unordered.note(1_001, now), "its reader knows it");
    }

    /// Reads a log of `length` entries from its beginning, in batches. Returns what it knows.
    fn read_through(length: i64, batch: i64, now: Instant, is_ordered: bool) -> SeenEntries {
        let mut seen = SeenEntries::again(0, now, is_ordered);
        loop {
            let place = seen.place(now).max(0);
            let last = (place + batch).min(length);
            for id in place + 1..=last {
                assert!(seen.note(id, now), "{id} comes once");
            }
            let is_full = last - place == batch;
            seen.has_read(is_full.then_some(last));
            let most = if is_ordered { batch } else { LOOK_BACK + batch };
            let known = i64::try_from(seen.seen.len()).unwrap();
            assert!(known <= most, "{known} entries are known at {last}");
            if !seen.is_behind() {
                return seen;
            }
        }
    }

    #[test]
    fn a_long_log_is_read_once_and_not_kept() {
        let now = Instant::now();
        let mut unordered = read_through(10_100, 200, now, false);
        assert_eq!(unordered.place(now), 10_000 - LOOK_BACK);
        assert!(!unordered.note(9_500, now), "it is known");
        assert!(!unordered.note(10_100, now));
        assert!(unordered.note(10_101, now));
        let later = now + SETTLED_AFTER;
        assert_eq!(unordered.place(later), 10_101);
        let mut ordered = read_through(10_100, 200, now, true);
        assert_eq!(ordered.place(now), 10_100);
    }

    #[test]
    fn a_late_entry_is_found_after_many() {
        let now = Instant::now();
        let mut seen = SeenEntries::new(0, [], now, false);
        for id in (1..=1_200).filter(|id| *id != 900) {
            assert!(seen.note(id, now));
        }
        seen.has_read(Some(1_200));
        seen.has_read(None);
        assert_eq!(seen.place(now), 200);
        assert!(seen.note(900, now) && !seen.note(901, now));
    }

    #[test]
    fn a_batch_that_could_not_be_read_is_read_again() {
        let now = Instant::now();
        let mut seen = SeenEntries::again(0, now, true);
        seen.has_read(Some(200));
        assert_eq!(seen.place(now), 200);
        assert_eq!(seen.place(now), 200);
        assert!(seen.is_behind(), "nothing was read there");
        seen.has_read(None);
        assert!(!seen.is_behind());
    }
}
