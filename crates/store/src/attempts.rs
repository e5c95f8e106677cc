//! Attempts that are limited in a sliding window, counted for all control planes together,
//! by the database's clock.
//!
//! A key is stored as its hash: it contains names and addresses. An attempt is counted
//! before its outcome is known, and refunded if it succeeded, so that a hundred at once
//! count as a hundred.

use crate::{
    Result, Store,
    db::{Either, Tx, execute, fetch_optional},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

/// The most keys that are stored; those whose attempts expire first are removed.
const MAX_KEYS: i64 = 20_000;
/// How many attempts are counted between two removals of keys.
const PRUNE_EVERY: u64 = 64;

/// How many attempts a key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimit {
    /// In any window.
    pub max: u32,
    pub window: Duration,
    /// How they are slowed before that; `None` is not at all.
    pub delay: Option<AttemptDelay>,
}

/// A delay between two attempts that doubles with each, from a second on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptDelay {
    /// So many of a window are not delayed.
    pub free: u32,
    pub longest: Duration,
}

impl AttemptLimit {
    /// Returns how many milliseconds have to pass until the next attempt, after those of the
    /// window, oldest first.
    pub fn wait_millis(&self, times: &[i64], now: i64) -> i64 {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let mut wait = 0;
        if times.len() >= self.max as usize {
            let first = times.first().copied().unwrap_or(now);
            wait = first.saturating_add(millis(self.window)) - now;
        }
        if let (Some(delay), Some(last)) = (self.delay, times.last()) {
            let slowed = times.len().checked_sub(delay.free as usize);
            let delay = slowed.map_or(0, |n| {
                let doubled = 1_i64.checked_shl(u32::try_from(n).unwrap_or(u32::MAX));
                let doubled = doubled.filter(|d| *d > 0).unwrap_or(i64::MAX / 1_000);
                doubled.saturating_mul(1_000).min(millis(delay.longest))
            });
            wait = wait.max(last.saturating_add(delay) - now);
        }
        wait.max(0)
    }
}

/// An attempt that was counted.
#[derive(Debug)]
#[must_use]
pub struct CountedAttempt {
    hashes: Vec<String>,
    at: i64,
    /// The keys for which this was the last attempt allowed.
    pub exhausted: Vec<String>,
}

/// The answer to an attempt.
#[derive(Debug)]
pub enum Attempted {
    Counted(CountedAttempt),
    /// The next attempt is allowed after this time.
    Wait(Duration),
}

impl Store {
    /// Counts an attempt under every key, if the limit allows one for each of them; otherwise
    /// nothing is counted.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn count_attempt(&self, keys: &[String], limit: &AttemptLimit) -> Result<Attempted> {
        let window = i64::try_from(limit.window.as_millis()).unwrap_or(i64::MAX);
        let counted = self.attempts_counted.fetch_add(1, Ordering::Relaxed);
        if counted.is_multiple_of(PRUNE_EVERY) {
            self.prune_attempts().await?;
        }
        // By hash, so that two callers lock rows in the same order.
        let keys: BTreeMap<String, &String> = keys.iter().map(|key| (hash(key), key)).collect();
        let mut tx = self.db.begin().await?;
        let mut rows = Vec::new();
        let mut at = 0;
        for hash in keys.keys() {
            let (times, now) = self.lock(&mut tx, hash).await?;
            rows.push(times);
            at = at.max(now);
        }
        let since = at.saturating_sub(window);
        let max = limit.max as usize;
        let mut wait = 0;
        for times in &mut rows {
            // A clock that was set back must not lock a client out for long.
            times.retain(|t| *t > since && *t <= at);
            wait = wait.max(limit.wait_millis(times, at));
        }
        if wait > 0 {
            return Ok(Attempted::Wait(Duration::from_millis(wait.unsigned_abs())));
        }
        let mut exhausted = Vec::new();
        for ((hash, key), times) in keys.iter().zip(&mut rows) {
            times.push(at);
            if times.len() == max {
                exhausted.push((*key).clone());
            }
            let sql = "UPDATE attempts SET times = $2, expires = $3 WHERE key = $1";
            let expires = at.saturating_add(window);
            execute!(tx.connection(), sql, hash, text(times), expires)?;
        }
        tx.commit().await?;
        Ok(Attempted::Counted(CountedAttempt {
            hashes: keys.into_keys().collect(),
            at,
            exhausted,
        }))
    }

    /// Takes a count back: the attempt was not a failure.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn refund_attempt(&self, attempt: CountedAttempt) -> Result<()> {
        let mut tx = self.db.begin().await?;
        for hash in &attempt.hashes {
            let (mut times, _) = self.lock(&mut tx, hash).await?;
            if let Some(i) = times.iter().rposition(|t| *t == attempt.at) {
                times.remove(i);
            }
            match times.is_empty() {
                true => {
                    let sql = "DELETE FROM attempts WHERE key = $1";
                    execute!(tx.connection(), sql, hash)?
                }
                false => {
                    let sql = "UPDATE attempts SET times = $2 WHERE key = $1";
                    execute!(tx.connection(), sql, hash, text(&times))?
                }
            };
        }
        tx.commit().await
    }

    /// Removes the keys whose attempts count no longer, and those above the limit of keys.
    /// Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_attempts(&self) -> Result<u64> {
        let now = self.db.now();
        // A row that is in use stays for the next time.
        let unlocked = match self.db.reader() {
            Either::Sqlite(_) => "",
            Either::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        };
        let sql = AssertSqlSafe(format!(
            "DELETE FROM attempts WHERE key IN \
             (SELECT key FROM attempts WHERE expires <= {now} {unlocked})"
        ));
        let mut removed = execute!(self.db.writer(), sql)?;
        let sql = "SELECT COUNT(*) FROM attempts";
        let count = fetch_optional!(self.db.writer(), (i64,), sql)?;
        let excess = count.map_or(0, |(n,)| n - MAX_KEYS);
        if excess > 0 {
            let sql = AssertSqlSafe(format!(
                "DELETE FROM attempts WHERE key IN \
                 (SELECT key FROM attempts ORDER BY expires LIMIT $1 {unlocked})"
            ));
            removed += execute!(self.db.writer(), sql, excess)?;
        }
        Ok(removed)
    }

    /// Locks a key's row, which is made if there is none. Returns the times of its attempts,
    /// and the time.
    async fn lock(&self, tx: &mut Tx, hash: &str) -> Result<(Vec<i64>, i64)> {
        let now = self.db.now();
        let sql = AssertSqlSafe(format!(
            "INSERT INTO attempts (key, times, expires) VALUES ($1, '', 0) \
             ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING times, {now}"
        ));
        let row = fetch_optional!(tx.connection(), (String, i64), sql, hash)?;
        let (times, now) = row.unwrap_or_default();
        let times = times.split(',').filter_map(|t| t.parse().ok());
        Ok((times.collect(), now))
    }
}

fn hash(key: &str) -> String {
    STANDARD.encode(Sha256::digest(key))
}

fn text(times: &[i64]) -> String {
    let times: Vec<_> = times.iter().map(i64::to_string).collect();
    times.join(",")
}
