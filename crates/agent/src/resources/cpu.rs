//! The processor time of one container over the last minute.

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// How far back the figure reaches.
const WINDOW: Duration = Duration::from_secs(60);

/// Readings of one container's processor time, oldest first. The oldest is the last one
/// that is as old as the window, if there is one.
#[derive(Debug)]
pub(super) struct CpuHistory {
    id: String,
    readings: VecDeque<(Instant, Duration)>,
}

impl CpuHistory {
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            readings: VecDeque::new(),
        }
    }

    /// Adds a reading. One of another container, or one that counts backwards, starts
    /// from the beginning.
    pub(super) fn add(&mut self, id: &str, at: Instant, used: Duration) {
        let goes_back = self.readings.back().is_some_and(|(_, last)| used < *last);
        if self.id != id || goes_back {
            *self = Self::new(id.to_owned());
        }
        self.readings.push_back((at, used));
        while self.readings.get(1).is_some_and(|(t, _)| at - *t >= WINDOW) {
            self.readings.pop_front();
        }
    }

    /// Returns the processor time in percent of one processor; `None` before there are
    /// two readings.
    pub(super) fn percent(&self) -> Option<f64> {
        let (first, before) = self.readings.front()?;
        let (last, now) = self.readings.back()?;
        let took = (*last - *first).as_secs_f64();
        (took > 0.0).then(|| (*now - *before).as_secs_f64() / took * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_last_minute_alone_counts() {
        let start = Instant::now();
        let mut cpu = CpuHistory::new("a".to_owned());
        assert_eq!(cpu.percent(), None);
        cpu.add("a", start, SECOND);
        assert_eq!(cpu.percent(), None, "one reading is no rate");
        // A minute at full speed, then idle.
        for n in 1..=6 {
            cpu.add("a", start + SECOND * 10 * n, SECOND + SECOND * 10 * n);
        }
        assert_eq!(cpu.percent(), Some(100.0));
        let used = SECOND * 61;
        for n in 7..=9 {
            cpu.add("a", start + SECOND * 10 * n, used);
        }
        assert_eq!(cpu.percent(), Some(50.0));
        for n in 10..=12 {
            cpu.add("a", start + SECOND * 10 * n, used);
        }
        assert_eq!(cpu.percent(), Some(0.0));
        assert!(cpu.readings.len() <= 7, "{cpu:?}");
    }

    #[test]
    fn another_container_starts_from_the_beginning() {
        let start = Instant::now();
        let mut cpu = CpuHistory::new("a".to_owned());
        cpu.add("a", start, SECOND * 500);
        cpu.add("a", start + SECOND, SECOND * 501);
        assert_eq!(cpu.percent(), Some(100.0));
        cpu.add("b", start + SECOND * 2, SECOND);
        assert_eq!(cpu.percent(), None);
        cpu.add("b", start + SECOND * 4, SECOND * 2);
        assert_eq!(cpu.percent(), Some(50.0));
        // The same container was started again.
        cpu.add("b", start + SECOND * 5, Duration::ZERO);
        assert_eq!(cpu.percent(), None);
    }
}
