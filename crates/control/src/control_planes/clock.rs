//! The time that all control planes share: the database's, where that differs from the
//! machine's. A ticket that one issues is redeemed at another, whose clock may be an hour
//! off.

use domain::{Clock, Timestamp};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// A difference up to this is left as it is: that much the answer may have taken.
const TOLERANCE_MILLIS: i64 = 500;
/// An answer that took longer tells too little.
const MAX_ANSWER_MILLIS: i64 = 2_000;

/// The machine's clock, corrected by the database's.
pub(crate) struct SharedClock {
    own: Arc<dyn Clock>,
    offset_millis: AtomicI64,
}

impl SharedClock {
    pub(crate) fn new(own: Arc<dyn Clock>) -> Self {
        Self {
            own,
            offset_millis: AtomicI64::new(0),
        }
    }

    /// Returns the time of the machine itself.
    pub(super) fn own(&self) -> Timestamp {
        self.own.now()
    }

    /// Compares the clock with the database's, which was asked and answered at these times
    /// of the machine.
    pub(super) fn compare(&self, asked: Timestamp, database: Timestamp, answered: Timestamp) {
        let took = answered.0.saturating_sub(asked.0);
        if !(0..=MAX_ANSWER_MILLIS).contains(&took) {
            return;
        }
        let difference = database.0.saturating_sub(asked.plus_millis(took / 2).0);
        let wanted = match difference.abs() <= TOLERANCE_MILLIS {
            true => 0,
            false => difference,
        };
        let current = self.offset_millis.load(Ordering::Relaxed);
        if (wanted - current).abs() > TOLERANCE_MILLIS || wanted == 0 {
            self.offset_millis.store(wanted, Ordering::Relaxed);
        }
        if wanted != 0 && (wanted - current).abs() > TOLERANCE_MILLIS {
            let millis = wanted;
            tracing::warn!(
                millis,
                "the clock of this machine differs from the database's, which is used"
            );
        }
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        let offset = self.offset_millis.load(Ordering::Relaxed);
        self.own.now().plus_millis(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::fakes::FakeClock;

    const NOW: Timestamp = Timestamp(1_795_478_400_000);

    #[test]
    fn a_clock_an_hour_off_follows_the_database() {
        let clock = SharedClock::new(Arc::new(FakeClock::at(NOW)));
        let compare = |difference: i64| {
            let answered = NOW.plus_millis(20);
            clock.compare(NOW, NOW.plus_millis(10 + difference), answered);
            clock.now().0 - NOW.0
        };
        assert_eq!(compare(200), 0, "that much an answer may take");
        assert_eq!(compare(3_600_000), 3_600_000);
        assert_eq!(compare(3_600_300), 3_600_000, "it does not tremble");
        assert_eq!(compare(-90_000), -90_000);
        clock.compare(NOW, NOW, NOW.plus_millis(9_000));
        assert_eq!(clock.now().0 - NOW.0, -90_000, "too slow to tell");
        assert_eq!(compare(10), 0);
    }
}
