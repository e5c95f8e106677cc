//! Tells an account's holder, by mail, what was changed of what protects the account. The notice
//! follows from the entry of the audit log, and is queued in its transaction: no change of that
//! kind can be without it.

use super::{addresses::verified, outbox::NewMail, outbox::queue_without_link};
use crate::{AuditEntry, OperatorId, Result, TicketHolder, db::Tx, db::fetch_optional};
use domain::{MailContent, TenantId, Timestamp, mail::AccountChange};

/// How long a notice may wait until it is not worth sending: two days.
const NOTICE_MILLIS: i64 = 172_800_000;
/// How the audit log begins an operator's name.
const OPERATOR: &str = "operator:";

/// Returns the change that an action of the audit log is, if its holder is told.
fn change_of(action: &str) -> Option<AccountChange> {
    Some(match action {
        "password.change" | "password.reset" | "password.recover" => AccountChange::Password,
        "factor.add" | "passkey.add" => AccountChange::FactorAdded,
        "factor.remove" | "passkey.remove" => AccountChange::FactorRemoved,
        "recovery.replace" => AccountChange::RecoveryCodes,
        "token.create" => AccountChange::TokenMade,
        _ => return None,
    })
}

/// Queues the notice of an entry, if its account has a verified address.
pub(crate) async fn queue(tx: &mut Tx, entry: &AuditEntry) -> Result<()> {
    let Some(change) = change_of(&entry.action) else {
        return Ok(());
    };
    if !tx.mail().is_enabled() {
        return Ok(());
    }
    let Some(holder) = holder_of(tx, entry).await? else {
        return Ok(());
    };
    let content = MailContent::Change {
        change,
        origin: entry.origin.clone(),
    };
    send(tx, holder, &content, entry.at).await
}

/// Queues a notice for an account, if it has a verified address.
pub(crate) async fn send(
    tx: &mut Tx,
    holder: TicketHolder,
    content: &MailContent,
    now: Timestamp,
) -> Result<()> {
    if !tx.mail().is_enabled() {
        return Ok(());
    }
    let Some(address) = verified(tx, holder).await? else {
        return Ok(());
    };
    let mail = NewMail {
        holder: Some(holder),
        recipient: &address,
        content,
        token: None,
        now,
        expires: now.plus_millis(NOTICE_MILLIS),
    };
    queue_without_link(tx, &mail).await.map(drop)
}

/// Queues a warning of the month's data, if the tenant has a verified address and has not
/// switched the warnings off.
pub(crate) async fn send_quota(
    tx: &mut Tx,
    tenant: TenantId,
    content: &MailContent,
    now: Timestamp,
) -> Result<()> {
    if !tx.mail().is_enabled() {
        return Ok(());
    }
    let sql = "SELECT quota_warnings FROM mail_addresses WHERE user_id = $1";
    let row: Option<(i64,)> = fetch_optional!(tx.connection(), _, sql, tenant.0)?;
    match row {
        Some((1,)) => send(tx, TicketHolder::Tenant(tenant), content, now).await,
        _ => Ok(()),
    }
}

/// Returns whose account an entry is about.
async fn holder_of(tx: &mut Tx, entry: &AuditEntry) -> Result<Option<TicketHolder>> {
    if let Some(tenant) = entry.tenant {
        return Ok(Some(TicketHolder::Tenant(tenant)));
    }
    // Of an operator's own act the actor is the account, whatever the object is.
    let named = [&entry.object, &entry.actor];
    let Some(name) = named.iter().find_map(|n| n.strip_prefix(OPERATOR)) else {
        return Ok(None);
    };
    let sql = "SELECT id FROM operators WHERE username = $1";
    let row: Option<(i64,)> = fetch_optional!(tx.connection(), _, sql, name)?;
    Ok(row.map(|(id,)| TicketHolder::Operator(OperatorId(id))))
}
