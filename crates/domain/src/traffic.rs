//! The time span and the resolution of a traffic graph.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// The time span of a graph. A longer span has longer steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    /// An hour, in steps of 10 seconds.
    Hour,
    /// 24 hours, in minutes.
    Day,
    /// 7 days, in quarters of an hour.
    Week,
    /// 31 days, in hours.
    Month,
    /// 365 days, in days (UTC).
    Year,
}

impl Span {
    /// Every span, shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Returns the length of a step in milliseconds.
    pub const fn step_millis(self) -> i64 {
        match self {
            Self::Hour => 10_000,
            Self::Day => 60_000,
            Self::Week => 900_000,
            Self::Month => 3_600_000,
            Self::Year => crate::time::DAY_MILLIS,
        }
    }

    /// Returns the number of steps: 360, 1,440, 672, 744 or 365.
    pub const fn steps(self) -> usize {
        match self {
            Self::Hour => 360,
            Self::Day => 1_440,
            Self::Week => 672,
            Self::Month => 744,
            Self::Year => 365,
        }
    }

    /// Returns the beginning of the step that contains `at`. Steps begin at
    /// multiples of their length since the epoch (UTC).
    pub const fn step_of(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_sub(at.0.rem_euclid(self.step_millis())))
    }

    /// Returns the beginning of the oldest step of a graph whose last step
    /// contains `now`.
    pub const fn begin(self, now: Timestamp) -> Timestamp {
        let back = (self.steps() as i64 - 1) * self.step_millis();
        self.step_of(now).plus_millis(-back)
    }
}

/// The bytes of one step of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficPoint {
    /// When the step began.
    pub at: Timestamp,
    /// Bytes from the devices.
    pub rx_bytes: u64,
    /// Bytes to the devices.
    pub tx_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_ends_now_and_has_all_steps() {
        let now = Timestamp::from_secs(1_749_988_807);
        for span in Span::ALL {
            let (begin, end) = (span.begin(now).0, span.step_of(now).0);
            assert!(end <= now.0 && now.0 < end + span.step_millis());
            assert_eq!(begin % span.step_millis(), 0);
            let steps = (end - begin) / span.step_millis() + 1;
            assert_eq!(steps, span.steps() as i64, "{span:?}");
        }
    }
}
