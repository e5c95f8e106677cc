//! How a worker's clock differs from the one here. Handshakes are times of the worker's
//! clock; they are corrected by it.

use domain::Timestamp;
use std::sync::{Mutex, PoisonError};

/// A smaller change of the difference, in milliseconds, is that of the answer's way, and is
/// ignored: a time that did not change must not seem to.
const STEADY_MILLIS: u64 = 2000;

/// The milliseconds to add to the worker's times.
#[derive(Debug, Default)]
pub(super) struct ClockOffset(Mutex<i64>);

impl ClockOffset {
    /// Compares the clocks. Returns the milliseconds to add to times of the worker.
    pub fn measure(&self, here: Timestamp, worker: Timestamp) -> i64 {
        let measured = here.0.saturating_sub(worker.0);
        // It is one number.
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.abs_diff(measured) > STEADY_MILLIS {
            *used = measured;
        }
        *used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_an_hour_off_is_corrected_steadily() {
        let offset = ClockOffset::default();
        let hour = 3_600_000;
        let now = 1_795_000_000_000;
        let measure = |worker| offset.measure(Timestamp(now), Timestamp(worker));
        assert_eq!(measure(now - 300), 0, "that was the way");
        assert_eq!(measure(now - hour), hour);
        assert_eq!(measure(now - hour - 900), hour);
        assert_eq!(measure(now - hour + 900), hour);
        assert_eq!(measure(now + hour), -hour);
        assert_eq!(measure(now), 0, "it was set");
        assert_eq!(measure(i64::MIN), i64::MAX);
    }
}
