//! The background jobs: statistics, quotas, the event log, and the removal of what is
//! older than its retention.

use crate::inner::Inner;
use std::time::Duration;

/// How often old rows are removed.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(3600);

const DAY_MILLIS: i64 = 86_400_000;
/// How long a ticket is stored after it has expired: it is removed at the next
/// run.
const EXPIRED_TICKET_RETENTION_MILLIS: i64 = 0;
/// How long a join token is stored after it has expired, so that a machine that comes
/// late reads why it is refused.
const EXPIRED_TOKEN_RETENTION_MILLIS: i64 = 30 * DAY_MILLIS;
/// How long the audit log is stored: a year.
const AUDIT_RETENTION_MILLIS: i64 = 365 * DAY_MILLIS;
/// How long the event log is stored: a quarter.
const EVENT_RETENTION_MILLIS: i64 = 90 * DAY_MILLIS;

/// Reads and stores statistics, writes the event log, and removes old rows, until
/// the future is dropped.
pub(crate) async fn run(inner: &Inner) {
    tokio::join!(
        inner.meter.run(),
        inner.quotas.run(),
        inner.events.run(),
        housekeeping(inner)
    );
}

async fn housekeeping(inner: &Inner) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING_INTERVAL);
    loop {
        ticks.tick().await;
        remove_old_rows(inner).await;
    }
}

/// Removes expired tickets and join tokens, old audit entries and old events.
async fn remove_old_rows(inner: &Inner) {
    let now = inner.clock.now();
    let until = now.plus_millis(-EXPIRED_TICKET_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_tickets(until).await {
        tracing::warn!(error = ?e, "expired tickets could not be removed");
    }
    let until = now.plus_millis(-EXPIRED_TOKEN_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_join_tokens(until).await {
        tracing::warn!(error = ?e, "expired join tokens could not be removed");
    }
    let until = now.plus_millis(-AUDIT_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_audit(until).await {
        tracing::warn!(error = ?e, "old audit entries could not be removed");
    }
    let until = now.plus_millis(-EVENT_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_events(until).await {
        tracing::warn!(error = ?e, "old events could not be removed");
    }
}
