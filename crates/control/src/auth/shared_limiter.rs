//! Limits attempts for all control planes together. With PostgreSQL the database counts
//! them; with SQLite there is one control plane, and its memory suffices.

use super::{
    limiter::{self, Limiter},
    too_many::too_many,
};
use crate::failures::store_failure;
use domain::{Failure, Timestamp};
use std::time::Duration;
use store::{AttemptLimit, Attempted, CountedAttempt, Store};

/// A limit of attempts for a key in a sliding window.
pub(crate) struct SharedLimiter {
    /// What is limited; the keys of different limiters differ by it.
    name: &'static str,
    limit: AttemptLimit,
    local: Limiter,
    /// The database that counts, if one does.
    store: Option<Store>,
}

/// A counted attempt.
#[must_use]
pub(crate) struct Attempt {
    /// Keys for which this was the last attempt allowed: if it fails, they are
    /// locked.
    pub(crate) exhausted: Vec<String>,
    counted: Counted,
}

enum Counted {
    Here(limiter::Attempt),
    InDatabase(CountedAttempt),
}

impl SharedLimiter {
    /// Allows `max_attempts` in any `window_millis`; 0 means no limit.
    pub(super) fn new(
        name: &'static str,
        max_attempts: u32,
        window_millis: u32,
        store: &Store,
    ) -> Self {
        let limit = AttemptLimit {
            max: max_attempts,
            window: Duration::from_millis(window_millis.into()),
            delay: None,
        };
        Self::with(name, limit, store)
    }

    /// Allows what a limit says.
    pub(super) fn with(name: &'static str, limit: AttemptLimit, store: &Store) -> Self {
        let is_shared = !store.is_sqlite() && limit.max > 0;
        Self {
            name,
            limit,
            local: Limiter::with(limit),
            store: is_shared.then(|| store.clone()),
        }
    }

    /// Counts an attempt under every key.
    ///
    /// # Errors
    /// `TooManyTries` with the time until the next one is allowed, `DatabaseUnavailable`.
    pub(crate) async fn begin(
        &self,
        keys: Vec<String>,
        now: Timestamp,
    ) -> Result<Attempt, Failure> {
        let keys: Vec<_> = keys
            .into_iter()
            .map(|key| format!("{} {key}", self.name))
            .collect();
        let Some(store) = &self.store else {
            let mut counted = self.local.begin(keys, now).map_err(too_many)?;
            return Ok(Attempt {
                exhausted: std::mem::take(&mut counted.exhausted),
                counted: Counted::Here(counted),
            });
        };
        let counted = store.count_attempt(&keys, &self.limit);
        match counted.await.map_err(store_failure)? {
            Attempted::Counted(mut counted) => Ok(Attempt {
                exhausted: std::mem::take(&mut counted.exhausted),
                counted: Counted::InDatabase(counted),
            }),
            Attempted::Wait(wait) => {
                let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                Err(too_many(millis))
            }
        }
    }

    /// Takes a count back: the attempt was not a failure. If that fails, it stays counted
    /// until the window is over.
    pub(crate) async fn refund(&self, attempt: Attempt) {
        match (attempt.counted, &self.store) {
            (Counted::Here(counted), _) => self.local.refund(counted),
            (Counted::InDatabase(counted), Some(store)) => {
                if let Err(error) = store.refund_attempt(counted).await {
                    tracing::warn!(?error, "an attempt could not be taken back");
                }
            }
            (Counted::InDatabase(_), None) => {}
        }
    }
}
