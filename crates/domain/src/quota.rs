//! Whether a tenant's data of the month suffice: a function of what it has used and
//! of its plan, and of nothing else.

use crate::plan::{AtLimit, Plan};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The share of the month's data at which a tenant is warned, in percent.
pub const WARNING_PERCENT: u64 = 80;

/// How a tenant's use compares with its plan's data. It is stored with the tenant,
/// and so also says which warnings it got in this period: no crossing is announced
/// twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaState {
    /// Less than [`WARNING_PERCENT`] is used, or there is no limit.
    #[default]
    Open,
    /// [`WARNING_PERCENT`] or more is used.
    Warned,
    /// All is used, and the network is slower until the next month begins.
    Slowed,
    /// All is used, and the devices reach DNS and each other only.
    Stopped,
}

impl QuotaState {
    /// Every state, the least restricted first.
    pub const ALL: [Self; 4] = [Self::Open, Self::Warned, Self::Slowed, Self::Stopped];

    /// Returns the state of a tenant of that plan that has used so many bytes since its
    /// month began.
    pub fn of(used_bytes: u64, plan: &Plan) -> Self {
        Self::of_limit(used_bytes, plan.monthly_bytes, plan.at_limit)
    }

    /// Returns the state for a limit in bytes; `None` is no limit.
    pub fn of_limit(used_bytes: u64, limit_bytes: Option<u64>, at_limit: AtLimit) -> Self {
        let Some(limit) = limit_bytes else {
            return Self::Open;
        };
        if used_bytes >= limit {
            return match at_limit {
                AtLimit::Slow => Self::Slowed,
                AtLimit::Stop => Self::Stopped,
            };
        }
        let (used, limit) = (u128::from(used_bytes), u128::from(limit));
        match used * 100 >= limit * u128::from(WARNING_PERCENT) {
            true => Self::Warned,
            false => Self::Open,
        }
    }

    /// Returns whether all of the month's data are used.
    pub const fn is_used_up(self) -> bool {
        matches!(self, Self::Slowed | Self::Stopped)
    }

    /// Returns the name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Warned => "warned",
            Self::Slowed => "slowed",
            Self::Stopped => "stopped",
        }
    }

    /// Parses the name in the database.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl fmt::Display for QuotaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_follows_use_and_plan() {
        let state = |used, at_limit| QuotaState::of_limit(used, Some(1_000), at_limit);
        assert_eq!(state(799, AtLimit::Slow), QuotaState::Open);
        assert_eq!(state(800, AtLimit::Slow), QuotaState::Warned);
        assert_eq!(state(999, AtLimit::Stop), QuotaState::Warned);
        assert_eq!(state(1_000, AtLimit::Slow), QuotaState::Slowed);
        assert_eq!(state(u64::MAX, AtLimit::Stop), QuotaState::Stopped);
        let largest = QuotaState::of_limit(u64::MAX - 1, Some(u64::MAX), AtLimit::Slow);
        assert_eq!(largest, QuotaState::Warned, "no overflow");
        let none = QuotaState::of_limit(u64::MAX, None, AtLimit::Stop);
        assert_eq!(none, QuotaState::Open);
    }

    #[test]
    fn a_state_has_a_name() {
        for state in ["open", "warned", "slowed", "stopped"] {
            assert_eq!(
                QuotaState::parse(state).map(QuotaState::as_str),
                Some(state)
            );
        }
        assert_eq!(QuotaState::parse("suspended"), None);
    }
}
