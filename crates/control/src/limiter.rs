//! At most so many tries in so long, per key. A try is counted before its
//! outcome is known and given back where it succeeded, so that a hundred at
//! once are a hundred tries; a limiter that asks first would let them all in.

use domain::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Keys remembered at most; the oldest go first.
const KEYS_MAX: usize = 20_000;

type Tries = HashMap<String, VecDeque<i64>>;

#[derive(Debug)]
pub(crate) struct Limiter {
    tries: Mutex<Tries>,
    most: u32,
    window_millis: i64,
}

/// A counted try.
#[derive(Debug)]
#[must_use]
pub(crate) struct Try {
    keys: Vec<String>,
    at: i64,
    /// Keys of which it took the last place: should it fail, they are locked.
    pub(crate) last: Vec<String>,
}

impl Limiter {
    /// At most `most` tries in any `window_millis`; 0 is no limit.
    pub(crate) fn new(most: u32, window_millis: i64) -> Self {
        Self {
            tries: Mutex::default(),
            most,
            window_millis,
        }
    }

    fn tries(&self) -> MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a try under every key, or says after how many milliseconds one
    /// is possible again.
    pub(crate) fn begin(&self, keys: Vec<String>, now: Timestamp) -> Result<Try, i64> {
        if self.most == 0 {
            // Nothing to remember either.
            return Ok(Try {
                keys: Vec::new(),
                at: now.0,
                last: Vec::new(),
            });
        }
        let mut tries = self.tries();
        let since = now.0 - self.window_millis;
        let mut wait = 0;
        for key in &keys {
            let Some(list) = tries.get_mut(key) else {
                continue;
            };
            // A clock that jumped back must not lock anybody out for long.
            list.retain(|t| *t > since && *t <= now.0);
            if list.len() >= self.most as usize {
                wait = wait.max(list.front().map_or(0, |t| t - since));
            }
        }
        if wait > 0 {
            return Err(wait);
        }
        let mut last = Vec::new();
        for key in &keys {
            let list = tries.entry(key.clone()).or_default();
            list.push_back(now.0);
            if list.len() == self.most as usize {
                last.push(key.clone());
            }
        }
        if tries.len() > KEYS_MAX {
            tries.retain(|_, list| list.back().is_some_and(|t| *t > since));
            if tries.len() > KEYS_MAX {
                let mut newest: Vec<i64> =
                    tries.values().filter_map(|l| l.back().copied()).collect();
                newest.sort_unstable();
                let cut = newest[newest.len() / 2];
                tries.retain(|_, list| list.back().is_some_and(|t| *t >= cut));
            }
        }
        Ok(Try {
            keys,
            at: now.0,
            last,
        })
    }

    /// Gives a try back: it was no failure.
    pub(crate) fn forgive(&self, t: Try) {
        let mut tries = self.tries();
        for key in t.keys {
            if let Some(list) = tries.get_mut(&key) {
                if let Some(i) = list.iter().rposition(|at| *at == t.at) {
                    list.remove(i);
                }
                if list.is_empty() {
                    tries.remove(&key);
                }
            }
        }
    }
}

/// The key of an address: one IPv6 customer holds a /64.
pub(crate) fn address_key(from: IpAddr) -> String {
    match from.to_canonical() {
        IpAddr::V4(a) => format!("from {a}"),
        IpAddr::V6(a) => format!("from {:x?}", &a.segments()[..4]),
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
            assert_eq!(failed.last.len(), usize::from(i == 4), "the fifth locks");
        }
        assert_eq!(l.begin(key("a"), at(10)).unwrap_err(), 50_000);
        assert!(
            l.begin(key("b"), at(10)).is_ok(),
            "another account is not hindered"
        );
        assert!(l.begin(key("a"), at(60)).is_ok());
    }

    #[test]
    fn success_costs_nothing_and_a_hundred_at_once_are_a_hundred() {
        let l = Limiter::new(5, 60_000);
        let now = Timestamp::from_secs(1);
        for _ in 0..20 {
            let t = l.begin(key("a"), now).unwrap();
            l.forgive(t);
        }
        let open = (0..100).filter(|_| l.begin(key("a"), now).is_ok()).count();
        assert_eq!(open, 5);
    }

    #[test]
    fn memory_is_bounded_and_a_clock_that_jumps_back_locks_nobody_out() {
        let l = Limiter::new(5, 60_000);
        for i in 0..50_000 {
            let _failed = l.begin(key(&i.to_string()), Timestamp(i)).unwrap();
        }
        assert!(l.tries().len() <= KEYS_MAX);
        for _ in 0..5 {
            let _failed = l.begin(key("x"), Timestamp::from_secs(1_000_000)).unwrap();
        }
        assert!(l.begin(key("x"), Timestamp::from_secs(1)).is_ok());
    }

    #[test]
    fn without_a_limit_nothing_is_remembered() {
        let l = Limiter::new(0, 60_000);
        for i in 0..10_000 {
            let counted = l.begin(key("a"), Timestamp(i)).unwrap();
            assert!(counted.last.is_empty());
        }
        assert!(l.tries().is_empty());
    }

    #[test]
    fn neighbours_in_one_ipv6_customer_network_share_a_key() {
        let k = |s: &str| address_key(s.parse().unwrap());
        assert_eq!(k("2001:db8:1:2::1"), k("2001:db8:1:2:ffff::9"));
        assert_ne!(k("2001:db8:1:2::1"), k("2001:db8:1:3::1"));
        assert_eq!(k("::ffff:192.0.2.1"), k("192.0.2.1"));
    }
}
