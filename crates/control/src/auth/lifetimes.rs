//! How long sessions last.

use crate::inputs::Audience;
use domain::Timestamp;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

impl Audience {
    /// Returns how long a session lasts without a visit. One that `stays` is for a browser of
    /// one's own.
    pub const fn idle_timeout(self, stays: bool) -> Duration {
        match self {
            // AdGuard Home's UI is not ours. A click on the dashboard creates a
            // new session.
            Self::Dns => HOUR.saturating_mul(12),
            Self::Dashboard | Self::Operator | Self::LookIn => self.max_age(stays),
        }
    }

    /// Returns how long a session lasts at most, even with visits, so that no client
    /// stays signed in on a forgotten browser.
    pub const fn max_age(self, stays: bool) -> Duration {
        match (self, stays) {
            // AdGuard Home's ends with the dashboard's.
            (Self::Dashboard, true) | (Self::Dns, _) => DAY.saturating_mul(30),
            (Self::Dashboard, false) => DAY,
            // An operator may do more: a working day.
            (Self::Operator, _) => HOUR.saturating_mul(12),
            (Self::LookIn, _) => HOUR,
        }
    }

    /// Returns whether a session that began then is not too old at `now`.
    pub(super) fn is_young(self, stays: bool, begun: Timestamp, now: Timestamp) -> bool {
        let age = u64::try_from(now.millis_since(begun)).unwrap_or(0);
        Duration::from_millis(age) < self.max_age(stays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ages_as_its_audience_says() {
        const DAY_MILLIS: i64 = 86_400_000;
        let begun = Timestamp(1_795_478_400_000);
        for (audience, stays, max_age) in [
            (Audience::Dashboard, true, 30 * DAY_MILLIS),
            (Audience::Dashboard, false, DAY_MILLIS),
            (Audience::Dns, false, 30 * DAY_MILLIS),
            (Audience::Operator, false, DAY_MILLIS / 2),
        ] {
            let is_young = |age| audience.is_young(stays, begun, begun.plus_millis(age));
            assert!(is_young(max_age - 1), "{audience:?}");
            assert!(!is_young(max_age), "{audience:?}");
            assert!(is_young(-DAY_MILLIS), "a clock that was set back");
            assert!(audience.idle_timeout(stays) <= audience.max_age(stays));
        }
    }
}
