//! The limits of the installation: how often passwords are tried, tenants are
//! created and tenants change things.

use super::limiter::Limiter;
use domain::{ErrorCode, Failure, Message, TenantId, Timestamp};

/// Changes a tenant may make in a minute: the largest plan's fifty devices can
/// be created and deleted at once, by a script too. More is a runaway loop.
const CHANGES_PER_MINUTE: u32 = 120;
/// Wrong passwords in a minute, for an account and for an address.
const WRONG_PASSWORDS_PER_MINUTE: u32 = 5;
const MINUTE_MILLIS: i64 = 60_000;

pub(crate) struct Limits {
    pub(crate) sign_ins: Limiter,
    pub(crate) sign_ups: Limiter,
    /// Changes of a tenant, whatever they change.
    changes: Limiter,
    /// Lock-outs that were written to the audit log.
    pub(crate) logged_lock_outs: Limiter,
}

impl Limits {
    pub(crate) fn new(sign_ups_per_hour: u32) -> Self {
        Self {
            sign_ins: Limiter::new(WRONG_PASSWORDS_PER_MINUTE, MINUTE_MILLIS),
            sign_ups: Limiter::new(sign_ups_per_hour, 60 * MINUTE_MILLIS),
            changes: Limiter::new(CHANGES_PER_MINUTE, MINUTE_MILLIS),
            logged_lock_outs: Limiter::new(1, 10 * MINUTE_MILLIS),
        }
    }

    /// Counts a change of a tenant: every change is rows, and work for the node.
    pub(crate) fn count_change(&self, tenant: TenantId, now: Timestamp) -> Result<(), Failure> {
        let counted = self.changes.begin(vec![format!("tenant {tenant}")], now);
        counted.map(drop).map_err(too_many)
    }
}

/// Returns the failure that says how long to wait.
pub(crate) fn too_many(wait_millis: i64) -> Failure {
    let secs = (wait_millis + 999) / 1000;
    let seconds = secs.unsigned_abs();
    let message = if secs > 90 {
        Message::TooManyTriesMinutes {
            minutes: seconds.div_ceil(60),
        }
    } else {
        Message::TooManyTries { seconds }
    };
    Failure::new(ErrorCode::TooManyTries, message)
}
