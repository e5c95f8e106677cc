//! The limits of the installation: how often passwords are tried, tenants are
//! created and tenants change things.

use super::{limiter::Limiter, shared_limiter::SharedLimiter, too_many::too_many};
use domain::{Failure, TenantId, Timestamp};
use store::Store;

/// Changes a tenant may make in a minute: the largest plan's fifty devices can
/// be created and deleted at once, by a script too. More is a runaway loop.
const CHANGES_PER_MINUTE: u32 = 120;
/// Wrong passwords in a minute, for an account and for an address.
const WRONG_PASSWORDS_PER_MINUTE: u32 = 5;
/// Requests with a key in a minute: twice the changes, because some are refused.
const CLAIMS_PER_MINUTE: u32 = 2 * CHANGES_PER_MINUTE;
const MINUTE_MILLIS: u32 = 60_000;

pub(crate) struct Limits {
    pub(crate) sign_ins: SharedLimiter,
    pub(crate) sign_ups: SharedLimiter,
    /// Changes of a tenant, whatever they change. Each control plane counts its own: it
    /// guards against loops, and a change costs more than a count.
    changes: Limiter,
    /// Keys of requests that may be repeated, each of which is rows; by who sent them.
    claims: Limiter,
    /// Lock-outs that were written to the audit log.
    pub(crate) logged_lock_outs: SharedLimiter,
}

impl Limits {
    pub(crate) fn new(store: &Store, sign_ups_per_hour: u32) -> Self {
        let limiter = |name, max, window| SharedLimiter::new(name, max, window, store);
        Self {
            sign_ins: limiter("sign-in", WRONG_PASSWORDS_PER_MINUTE, MINUTE_MILLIS),
            sign_ups: limiter("sign-up", sign_ups_per_hour, 60 * MINUTE_MILLIS),
            changes: Limiter::new(CHANGES_PER_MINUTE, MINUTE_MILLIS.into()),
            claims: Limiter::new(CLAIMS_PER_MINUTE, MINUTE_MILLIS.into()),
            logged_lock_outs: limiter("lock-out", 1, 10 * MINUTE_MILLIS),
        }
    }

    /// Counts a change of a tenant: every change is rows, and work for the node.
    pub(crate) fn count_change(&self, tenant: TenantId, now: Timestamp) -> Result<(), Failure> {
        let counted = self.changes.begin(vec![change_key(tenant)], now);
        counted.map(drop).map_err(too_many)
    }

    /// Counts a request with a key.
    pub(crate) fn count_claim(&self, sender: &str, now: Timestamp) -> Result<(), Failure> {
        let counted = self.claims.begin(vec![sender.to_owned()], now);
        counted.map(drop).map_err(too_many)
    }

    /// Returns how many changes a tenant may still make.
    pub(super) fn changes_left(&self, tenant: TenantId, now: Timestamp) -> ChangeBudget {
        let (left, millis) = self.changes.left(&change_key(tenant), now);
        ChangeBudget {
            allowed: CHANGES_PER_MINUTE,
            window_secs: MINUTE_MILLIS / 1_000,
            left,
            reset_secs: u32::try_from((millis + 999) / 1_000).unwrap_or(0),
        }
    }
}

fn change_key(tenant: TenantId) -> String {
    format!("tenant {tenant}")
}

/// How many changes a tenant may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeBudget {
    /// In any window.
    pub allowed: u32,
    /// The length of a window in seconds.
    pub window_secs: u32,
    /// How many are left now.
    pub left: u32,
    /// The seconds until there is one more.
    pub reset_secs: u32,
}
