//! Attempts at work in the background: one at a time, and after a failure only later.

use std::time::{Duration, Instant};

/// Knows when work is attempted next.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    runs: bool,
    failures: u32,
    ended_at: Option<Instant>,
}

impl Attempt {
    /// Returns whether to begin now. After a failure that is `retry` later, then twice that,
    /// and so on up to `longest`. The caller ends each attempt that has begun.
    pub(super) fn begin(&mut self, retry: Duration, longest: Duration) -> bool {
        let doubled = 1 << self.failures.saturating_sub(1).min(16);
        let wait = retry.saturating_mul(doubled).min(longest);
        let is_early = self.ended_at.is_some_and(|at| at.elapsed() < wait);
        let begins = !self.runs && !is_early;
        self.runs |= begins;
        begins
    }

    /// Ends an attempt.
    pub(super) fn end(&mut self, is_done: bool) {
        self.runs = false;
        if is_done {
            self.forget();
        } else {
            self.failures = self.failures.saturating_add(1);
            self.ended_at = Some(Instant::now());
        }
    }

    /// Returns whether one runs.
    #[cfg(test)]
    pub(super) fn runs(&self) -> bool {
        self.runs
    }

    /// Forgets the failures.
    pub(super) fn forget(&mut self) {
        (self.failures, self.ended_at) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_delays_the_next_attempt() {
        let (now, hour) = (Duration::ZERO, Duration::from_secs(3600));
        let mut attempt = Attempt::default();
        assert!(attempt.begin(hour, hour));
        assert!(!attempt.begin(now, hour), "one runs");
        attempt.end(false);
        assert!(!attempt.begin(hour, hour));
        assert!(attempt.begin(now, hour));
        attempt.end(true);
        assert!(attempt.begin(hour, hour));
        for _ in 0..100 {
            attempt.end(false);
            assert!(attempt.begin(now, hour));
        }
        attempt.end(false);
        assert!(attempt.begin(hour, now), "the wait is bounded");
        attempt.end(false);
        attempt.forget();
        assert!(attempt.begin(hour, hour));
    }
}
