//! Points in time as numbers. Nothing here reads a clock: `now` is always an
//! argument, so that a simulation can replay it.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds from `earlier` to `self`; 0 where the clock went backwards.
    pub const fn millis_since(self, earlier: Timestamp) -> i64 {
        let d = self.0.saturating_sub(earlier.0);
        if d < 0 { 0 } else { d }
    }

    /// This point in time, `millis` later.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// "12 s ago", "3 min ago", "2 h ago", "5 days ago": what a person reads
    /// beside a device. The exact time belongs into a `title`.
    pub fn ago(self, now: Timestamp) -> String {
        let s = now.millis_since(self) / 1000;
        match s {
            0..=1 => "just now".to_owned(),
            2..=59 => format!("{s} s ago"),
            60..=3_599 => format!("{} min ago", s / 60),
            3_600..=86_399 => format!("{} h ago", s / 3_600),
            86_400..=172_799 => "1 day ago".to_owned(),
            _ => format!("{} days ago", s / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ago_reads_as_a_person_would_say_it() {
        let now = Timestamp::from_secs(1_000_000);
        let at = |s: i64| Timestamp::from_secs(1_000_000 - s).ago(now);
        assert_eq!(at(0), "just now");
        assert_eq!(at(12), "12 s ago");
        assert_eq!(at(61), "1 min ago");
        assert_eq!(at(7_300), "2 h ago");
        assert_eq!(at(100_000), "1 day ago");
        assert_eq!(at(259_300), "3 days ago");
        assert_eq!(
            Timestamp::from_secs(2_000_000).ago(now),
            "just now",
            "a clock that jumped back"
        );
    }
}
