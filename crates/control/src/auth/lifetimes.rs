//! How long sessions last.

use crate::inputs::Audience;
use domain::Timestamp;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

impl Audience {
    /// Returns how long a session lasts without a visit.
    pub const fn idle_timeout(self) -> Duration {
        match self {
            Self::Dashboard => DAY.saturating_mul(7),
            // AdGuard Home's UI is not ours. A click on the dashboard creates a
            // new session.
            Self::Dns => HOUR.saturating_mul(12),
            Self::Operator => self.max_age(),
        }
    }

    /// Returns how long a session lasts at most, even with visits, so that no client
    /// stays signed in on a forgotten browser.
    pub const fn max_age(self) -> Duration {
        match self {
            Self::Dashboard | Self::Dns => DAY.saturating_mul(30),
            // An operator may do more: a working day.
            Self::Operator => HOUR.saturating_mul(12),
        }
    }

    /// Returns whether a session that began then is not too old at `now`.
    pub(super) fn is_young(self, begun: Timestamp, now: Timestamp) -> bool {
        let age = u64::try_from(now.millis_since(begun)).unwrap_or(0);
        Duration::from_millis(age) < self.max_age()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ages_as_its_audience_says() {
        const DAY_MILLIS: i64 = 86_400_000;
        let begun = Timestamp(1_795_478_400_000);
        let is_young = |audience: Audience, age| audience.is_young(begun, begun.plus_millis(age));
        for (audience, max_age) in [
            (Audience::Dashboard, 30 * DAY_MILLIS),
            (Audience::Dns, 30 * DAY_MILLIS),
            (Audience::Operator, DAY_MILLIS / 2),
        ] {
            assert!(is_young(audience, max_age - 1), "{audience:?}");
            assert!(!is_young(audience, max_age), "{audience:?}");
            assert!(is_young(audience, -DAY_MILLIS), "a clock that was set back");
            assert!(audience.idle_timeout() <= audience.max_age());
        }
    }
}
