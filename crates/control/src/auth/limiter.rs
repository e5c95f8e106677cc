//! Limits attempts per key in a sliding window. An attempt is counted before its
//! outcome is known and refunded if it succeeded, so that a hundred concurrent
//! attempts count as a hundred; a limiter that checks first would admit them all.

use domain::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::AttemptLimit;

/// Most keys remembered; the oldest are dropped first.
const MAX_KEYS: usize = 20_000;

/// The times of the attempts, by key.
type Attempts = HashMap<String, VecDeque<i64>>;

#[derive(Debug)]
pub(crate) struct Limiter {
    attempts: Mutex<Attempts>,
    limit: AttemptLimit,
}

/// A counted attempt.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt {
    keys: Vec<String>,
    at: i64,
    /// Keys for which this was the last attempt allowed: if it fails, they are
    /// locked.
    pub(crate) exhausted: Vec<String>,
}

impl Limiter {
    /// Allows `max_attempts` in any `window_millis`; 0 means no limit.
    pub(crate) fn new(max_attempts: u32, window_millis: u32) -> Self {
        Self::with(AttemptLimit {
            max: max_attempts,
            window: Duration::from_millis(window_millis.into()),
            delay: None,
        })
    }

    /// Allows what a limit says.
    pub(crate) fn with(limit: AttemptLimit) -> Self {
        Self {
            attempts: Mutex::default(),
            limit,
        }
    }

    fn window_millis(&self) -> i64 {
        i64::try_from(self.limit.window.as_millis()).unwrap_or(i64::MAX)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt under every key, or returns the number of milliseconds
    /// until the next one is allowed.
    pub(crate) fn begin(&self, keys: Vec<String>, now: Timestamp) -> Result<Attempt, i64> {
        if self.limit.max == 0 {
            // Then nothing has to be remembered either.
            return Ok(Attempt {
                keys: Vec::new(),
                at: now.0,
                exhausted: Vec::new(),
            });
        }
        let mut attempts = self.attempts();
        let since = now.0 - self.window_millis();
        let mut wait = 0;
        for key in &keys {
            let Some(times) = attempts.get_mut(key) else {
                continue;
            };
            // A clock that jumped back must not lock a client out for long.
            times.retain(|t| *t > since && *t <= now.0);
            wait = wait.max(self.limit.wait_millis(times.make_contiguous(), now.0));
        }
        if wait > 0 {
            return Err(wait);
        }
        let mut exhausted = Vec::new();
        for key in &keys {
            let times = attempts.entry(key.clone()).or_default();
            times.push_back(now.0);
            if times.len() == self.limit.max as usize {
                exhausted.push(key.clone());
            }
        }
        if attempts.len() > MAX_KEYS {
            drop_oldest(&mut attempts, since);
        }
        Ok(Attempt {
            keys,
            at: now.0,
            exhausted,
        })
    }

    /// Returns how many attempts are left for a key, and the milliseconds until there is one
    /// more.
    pub(crate) fn left(&self, key: &str, now: Timestamp) -> (u32, i64) {
        let since = now.0 - self.window_millis();
        let attempts = self.attempts();
        let times = attempts.get(key).into_iter().flatten();
        let times = times.filter(|t| **t > since && **t <= now.0);
        let used = u32::try_from(times.clone().count()).unwrap_or(u32::MAX);
        let oldest = times.min().map_or(0, |t| t - since);
        (self.limit.max.saturating_sub(used), oldest)
    }

    /// Takes a count back: the attempt was not a failure.
    pub(crate) fn refund(&self, attempt: Attempt) {
        let mut attempts = self.attempts();
        for key in attempt.keys {
            if let Some(times) = attempts.get_mut(&key) {
                if let Some(i) = times.iter().rposition(|at| *at == attempt.at) {
                    times.remove(i);
                }
                if times.is_empty() {
                    attempts.remove(&key);
                }
            }
        }
    }
}

/// Drops the keys outside the window, and then, if there are still too many,
/// the older half.
fn drop_oldest(attempts: &mut Attempts, since: i64) {
    attempts.retain(|_, times| times.back().is_some_and(|t| *t > since));
    if attempts.len() > MAX_KEYS {
        let mut newest: Vec<i64> = attempts
            .values()
            .filter_map(|times| times.back().copied())
            .collect();
        newest.sort_unstable();
        let cut = newest[newest.len() / 2];
        attempts.retain(|_, times| times.back().is_some_and(|t| *t >= cut));
    }
}

/// Returns the key of an address. One IPv6 customer has a /64, which shares a key.
pub(crate) fn address_key(from: IpAddr) -> String {
    match from.to_canonical() {
        IpAddr::V4(a) => format!("from {a}"),
        IpAddr::V6(a) => format!("from {:x?}", &a.segments()[..4]),
    }
}

/// Returns the key of an IPv6 address's /48: many customers have a whole one.
pub(crate) fn site_key(from: IpAddr) -> Option<String> {
    match from.to_canonical() {
        IpAddr::V4(_) => None,
        IpAddr::V6(a) => Some(format!("from {:x?}/48", &a.segments()[..3])),
    }
}

/// Returns an address as the audit log names it: of IPv6 the /64 of one customer.
pub fn address_prefix(from: IpAddr) -> String {
    match from.to_canonical() {
        IpAddr::V4(a) => a.to_string(),
        IpAddr::V6(a) => {
            let network = u128::from(a) >> 64 << 64;
            format!("{}/64", std::net::Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(k: &str) -> Vec<String> {
        vec![k.to_owned()]
    }

    #[test]
    fn the_sixth_failure_in_a_minute_waits() {
        let l = Limiter::new(5, 60_000);
        let at = |s: i64| Timestamp::from_secs(1_000 + s);
        for i in 0..5 {
            let failed = l.begin(key("a"), at(i)).unwrap();
            let locks = usize::from(i == 4);
            assert_eq!(failed.exhausted.len(), locks, "the fifth failure locks");
        }
        assert_eq!(l.begin(key("a"), at(10)).unwrap_err(), 50_000);
        assert!(
            l.begin(key("b"), at(10)).is_ok(),
            "another account is not limited"
        );
        assert!(l.begin(key("a"), at(60)).is_ok());
    }

    #[test]
    fn refunded_attempts_are_free_and_concurrent_ones_count() {
        let l = Limiter::new(5, 60_000);
        let now = Timestamp::from_secs(1);
        for _ in 0..20 {
            let attempt = l.begin(key("a"), now).unwrap();
            l.refund(attempt);
        }
        let admitted = (0..100).filter(|_| l.begin(key("a"), now).is_ok()).count();
        assert_eq!(admitted, 5);
    }

    #[test]
    fn memory_is_bounded_and_clock_jumps_lock_nothing() {
        let l = Limiter::new(5, 60_000);
        for i in 0..50_000 {
            let _failed = l.begin(key(&i.to_string()), Timestamp(i)).unwrap();
        }
        assert!(l.attempts().len() <= MAX_KEYS);
        for _ in 0..5 {
            let _failed = l.begin(key("x"), Timestamp::from_secs(1_000_000)).unwrap();
        }
        assert!(l.begin(key("x"), Timestamp::from_secs(1)).is_ok());
    }

    #[test]
    fn a_limiter_without_limit_remembers_nothing() {
        let l = Limiter::new(0, 60_000);
        for i in 0..10_000 {
            let attempt = l.begin(key("a"), Timestamp(i)).unwrap();
            assert!(attempt.exhausted.is_empty());
        }
        assert!(l.attempts().is_empty());
    }

    #[test]
    fn an_ipv6_customer_network_shares_a_key() {
        let k = |s: &str| address_key(s.parse().unwrap());
        assert_eq!(k("2001:db8:1:2::1"), k("2001:db8:1:2:ffff::9"));
        assert_ne!(k("2001:db8:1:2::1"), k("2001:db8:1:3::1"));
        assert_eq!(k("::ffff:192.0.2.1"), k("192.0.2.1"));
    }
}
