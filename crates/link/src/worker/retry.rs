//! The pause before another attempt: random, so that workers that lost the same control
//! plane do not return at the same moment.

use super::random;
use std::{ops::Range, time::Duration};

/// Before a connection is made again, in milliseconds.
pub(super) const RECONNECT: Range<u64> = 1000..5000;
/// Before another control plane that is surely there is asked, in milliseconds.
pub(super) const MOVE: Range<u64> = 0..4000;
/// Before a control plane that was listed first is dialled, in milliseconds.
pub(super) const SPREAD: Range<u64> = 0..2000;

/// Waits for a random time of this range, in milliseconds.
pub(super) async fn pause(range: Range<u64>) {
    let width = range.end.saturating_sub(range.start).max(1);
    let millis = range.start + random::number() % width;
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
