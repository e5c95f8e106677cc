//! The background jobs: leases, statistics, quotas, the event log, moves, mail, and the removal of what
//! is older than its retention, which one control plane does.

use crate::{
    auth::{SIGNING_KEY_RETENTION_MILLIS, run_looks},
    inner::Inner,
    mail::run_mail,
    nodes::{run_moves, run_names},
    sign_ups::run_sleep,
};
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
/// How long a credential of the API is stored after it has expired, so that its holder sees
/// which one it was.
const EXPIRED_CREDENTIAL_RETENTION_MILLIS: i64 = 30 * DAY_MILLIS;
/// How long an invitation is stored after it has expired, so that operators see what became
/// of it, and a visitor reads why it is refused.
const EXPIRED_INVITATION_RETENTION_MILLIS: i64 = 365 * DAY_MILLIS;
/// How long an account knows a client that does not sign in again.
const KNOWN_CLIENT_RETENTION_MILLIS: i64 = 400 * DAY_MILLIS;
/// How long a mail that was sent or given up is listed: a week.
const MAIL_RETENTION_MILLIS: i64 = 7 * DAY_MILLIS;
/// How long the audit log is stored: a year.
const AUDIT_RETENTION_MILLIS: i64 = 365 * DAY_MILLIS;
/// How long the event log is stored: a quarter.
const EVENT_RETENTION_MILLIS: i64 = 90 * DAY_MILLIS;

/// Reads and stores statistics, writes the event log, and removes old rows, until
/// the future is dropped.
pub(crate) async fn run(inner: &Inner) {
    tokio::join!(
        inner.leases.run(),
        inner.meter.run(),
        inner.quotas.run(),
        inner.events.run(),
        run_moves(inner),
        run_names(inner),
        run_sleep(inner),
        run_mail(inner),
        run_looks(inner),
        housekeeping(inner)
    );
}

async fn housekeeping(inner: &Inner) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING_INTERVAL);
    loop {
        ticks.tick().await;
        inner.leases.jobs_are_held().await;
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
    remove_old_account_rows(inner).await;
    // Without mail nothing else gives them up, and what waits would be kept.
    if let Err(e) = inner.store.expire_mail(now).await {
        tracing::warn!(error = ?e, "expired mails could not be given up");
    }
    let until = now.plus_millis(-MAIL_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_mail(until).await {
        tracing::warn!(error = ?e, "old mails could not be removed");
    }
    if let Err(e) = inner.store.prune_attempts().await {
        tracing::warn!(error = ?e, "old attempts could not be removed");
    }
    let until = now.plus_millis(-EXPIRED_TOKEN_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_join_tokens(until).await {
        tracing::warn!(error = ?e, "expired join tokens could not be removed");
    }
    let until = now.plus_millis(-EXPIRED_INVITATION_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_invitations(until).await {
        tracing::warn!(error = ?e, "expired invitations could not be removed");
    }
    remove_old_api_rows(inner).await;
    let until = now.plus_millis(-AUDIT_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_audit(until).await {
        tracing::warn!(error = ?e, "old audit entries could not be removed");
    }
    let until = now.plus_millis(-EVENT_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_events(until).await {
        tracing::warn!(error = ?e, "old events could not be removed");
    }
}

/// Removes expired links and sign-ins that waited, and clients that were not seen for long.
async fn remove_old_account_rows(inner: &Inner) {
    let now = inner.clock.now();
    if let Err(e) = inner.store.prune_reset_links(now).await {
        tracing::warn!(error = ?e, "expired links to a new password could not be removed");
    }
    if let Err(e) = inner.store.prune_pending_sign_ins(now).await {
        tracing::warn!(error = ?e, "expired sign-ins could not be removed");
    }
    if let Err(e) = inner.store.prune_challenges(now).await {
        tracing::warn!(error = ?e, "expired challenges of passkeys could not be removed");
    }
    let until = now.plus_millis(-KNOWN_CLIENT_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_known_clients(until).await {
        tracing::warn!(error = ?e, "old clients of accounts could not be removed");
    }
}

/// Removes expired credentials and answers of the API, and keys that signed long ago.
async fn remove_old_api_rows(inner: &Inner) {
    let now = inner.clock.now();
    let until = now.plus_millis(-EXPIRED_CREDENTIAL_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_credentials(until).await {
        tracing::warn!(error = ?e, "expired credentials of the API could not be removed");
    }
    if let Err(e) = inner.store.prune_answers(now).await {
        tracing::warn!(error = ?e, "old answers of the API could not be removed");
    }
    let until = now.plus_millis(-SIGNING_KEY_RETENTION_MILLIS);
    if let Err(e) = inner.store.prune_signing_keys(until).await {
        tracing::warn!(error = ?e, "old keys of the API could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_privacy_page_says_how_long_rows_are_stored() {
        let document = include_str!("../../../../docs/PRIVACY.md");
        for (row, millis) in [
            (
                "browsers and networks that you signed in from",
                KNOWN_CLIENT_RETENTION_MILLIS,
            ),
            ("mails: address, subject", MAIL_RETENTION_MILLIS),
            ("what was done with the account", AUDIT_RETENTION_MILLIS),
            ("what failed and worked again", EVENT_RETENTION_MILLIS),
        ] {
            let row = document.lines().find(|line| line.contains(row));
            let term = row.unwrap().rsplit('|').nth(1).unwrap().trim();
            let days = format!("{} days", millis / DAY_MILLIS);
            assert!(term.starts_with(&days), "{term}, and not {days}");
        }
    }
}
