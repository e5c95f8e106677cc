//! Where the current time comes from. Everything else in this crate takes the
//! time as an argument; what runs in the background asks a [`Clock`], so that a
//! simulation can set it.

use crate::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time comes from: real or simulated.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }
}
