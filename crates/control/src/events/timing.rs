//! The intervals of the event log. Tests use shorter ones.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How long events are gathered for one transaction.
    pub gather: Duration,
    /// How long to wait before the next attempt while the database is away.
    pub retry: Duration,
    /// How often the tenants' parts and the node's problems are checked.
    pub check: Duration,
    /// How long a failure or recovery must last before it is an event.
    pub min_duration: Duration,
    /// Shortest time between two events of one subject.
    pub min_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(500),
            retry: Duration::from_secs(10),
            check: Duration::from_secs(5),
            min_duration: Duration::from_secs(10),
            min_interval: Duration::from_secs(60),
        }
    }
}
