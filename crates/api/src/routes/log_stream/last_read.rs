//! When a log is read again.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The shortest time between two reads of a log: whatever is written anywhere, it may have new
/// entries.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// When a log was read last.
#[derive(Debug)]
pub struct LastRead {
    pub at: Instant,
    /// The number of writes when it was last read with success.
    pub writes: u64,
    /// Whether that was not the last time.
    pub has_failed: bool,
}

impl LastRead {
    /// Waits until the log is to be read: at once where there is more of it, otherwise after
    /// `written`, which ends when there may be something new. What could not be read is read
    /// again.
    pub async fn is_due(&self, is_behind: bool, written: impl Future<Output = ()>) {
        if !self.has_failed {
            if is_behind {
                return;
            }
            written.await;
        }
        sleep_until(self.not_before()).await;
    }

    /// Returns when the log may be read again, unless there is more of it.
    fn not_before(&self) -> Instant {
        self.at + MIN_INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::time::timeout;

    fn read_at(at: Instant, has_failed: bool) -> LastRead {
        LastRead {
            at,
            writes: 0,
            has_failed,
        }
    }

    /// Returns whether a log is due that was read at a time.
    async fn is_due(at: Instant, has_failed: bool, is_behind: bool, is_written: bool) -> bool {
        let read = read_at(at, has_failed);
        let written = async {
            match is_written {
                true => ready(()).await,
                false => pending().await,
            }
        };
        let at_once = Duration::from_millis(50);
        timeout(at_once, read.is_due(is_behind, written))
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_log_is_read_again_once_a_second_at_most() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(read_at(now, false).not_before(), now + second);
        let long_ago = now.checked_sub(MIN_INTERVAL).unwrap();
        // However long this takes, it is not due meanwhile.
        let later = now + Duration::from_secs(3_600);
        assert!(is_due(long_ago, false, false, true).await);
        assert!(!is_due(long_ago, false, false, false).await, "nothing new");
        assert!(!is_due(later, false, false, true).await, "too soon");
        assert!(is_due(later, false, true, false).await, "there is more");
        for is_behind in [true, false] {
            assert!(is_due(long_ago, true, is_behind, false).await, "it failed");
            assert!(!is_due(later, true, is_behind, true).await, "too soon");
        }
    }
}
