//! The outbox: mails that wait, with who sends them. A mail is claimed by setting its next try to
//! after the longest time that sending may take; so of several control planes one sends it, and
//! where that one dies another does so later. It cannot be known whether a mail was taken whose
//! sender died before it could note so: it is sent again, with the same id.

use crate::{
    AuditEntry, Result, Store, StoreError, TicketHolder, TokenHash, audit,
    db::{Either, Tx, execute, fetch_all, fetch_optional, unsigned},
};
use domain::{MailAddress, MailContent, MailState, Secret, TenantId, Timestamp, view::MailRow};
use seal::{Purpose, Sealer};
use std::time::Duration;

/// The most mails to an address in an hour. The rest is dropped: more would help a person to
/// nothing, and a stranger to a flood of another's mailbox.
const MAX_PER_ADDRESS: i64 = 20;
/// The most mails that wait; more are dropped.
const MAX_WAITING: i64 = 10_000;
const HOUR_MILLIS: i64 = 3_600_000;

/// A mail to queue.
#[derive(Clone, Debug)]
pub struct NewMail<'a> {
    /// The account that it is about; `None` for a test.
    pub holder: Option<TicketHolder>,
    pub recipient: &'a MailAddress,
    pub content: &'a MailContent,
    /// The token of its link.
    pub token: Option<&'a Secret>,
    pub now: Timestamp,
    /// From then on it is not worth sending.
    pub expires: Timestamp,
}

/// A mail that this control plane is to send now.
#[derive(Clone, Debug)]
pub struct ClaimedMail {
    pub id: i64,
    pub content: MailContent,
    /// The token of its link.
    pub token: Option<Secret>,
    pub recipient: MailAddress,
    /// The account's name, and whether it is an operator's; `None` for a test.
    pub account: Option<(String, bool)>,
    pub created_at: Timestamp,
    /// Which try it is, from 1 on.
    pub tries: u32,
}

/// How a try to send a mail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTry {
    Sent,
    /// It is tried again then.
    Deferred(Timestamp),
    Failed,
}

/// How many mails there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailCounts {
    pub waiting: u64,
    /// Given up, and not removed yet.
    pub failed: u64,
    /// For how long the oldest one waits, in milliseconds.
    pub oldest_millis: u64,
}

/// Claims the mail whose time has come first.
pub(crate) fn claim_sql(lock: &str) -> String {
    format!(
        "UPDATE mail_outbox SET next_try = $2, tries = tries + 1 WHERE id = \
         (SELECT id FROM mail_outbox WHERE state = 'waiting' AND next_try <= $1 \
          ORDER BY next_try, id LIMIT 1 {lock}) \
         RETURNING id, arguments, token_hash, secret, recipient, user_id, operator_id, \
         created_at, tries"
    )
}

pub(crate) const NEXT: &str =
    "SELECT next_try FROM mail_outbox WHERE state = 'waiting' ORDER BY next_try LIMIT 1";
pub(crate) const SENT_SINCE: &str =
    "SELECT COUNT(*) FROM mail_outbox WHERE done_at > $1 AND state = 'sent'";
pub(crate) const OF_ADDRESS: &str =
    "SELECT COUNT(*) FROM mail_outbox WHERE recipient = $1 AND created_at > $2";

/// Queues a mail within a transaction. Returns `false` where there are too many for its address
/// or in all, or this process sends no mail.
pub(crate) async fn queue(tx: &mut Tx, sealer: &Sealer, new: &NewMail<'_>) -> Result<bool> {
    let Some(token) = new.token else {
        return queue_without_link(tx, new).await;
    };
    let hash = TokenHash::of(token);
    let plain = token.expose().as_bytes();
    let sealed = sealer.seal(Purpose::MailToken, hash.as_str(), plain)?;
    insert(tx, new, Some(hash.as_str()), &sealed).await
}

/// Does what [`queue`] does for a mail that has no link.
pub(super) async fn queue_without_link(tx: &mut Tx, new: &NewMail<'_>) -> Result<bool> {
    insert(tx, new, None, "").await
}

async fn insert(
    tx: &mut Tx,
    new: &NewMail<'_>,
    token_hash: Option<&str>,
    sealed: &str,
) -> Result<bool> {
    if !tx.mail().is_enabled() {
        return Ok(false);
    }
    let since = new.now.0 - HOUR_MILLIS;
    let recipient = new.recipient.as_str();
    let sent: Option<(i64,)> = fetch_optional!(tx.connection(), _, OF_ADDRESS, recipient, since)?;
    // Counts at most so many rows of the index.
    let sql = "SELECT COUNT(*) FROM \
               (SELECT 1 FROM mail_outbox WHERE state = 'waiting' LIMIT $1) AS waiting";
    let waiting: Option<(i64,)> = fetch_optional!(tx.connection(), _, sql, MAX_WAITING)?;
    if sent.is_some_and(|(n,)| n >= MAX_PER_ADDRESS) || waiting.is_some_and(|(n,)| n >= MAX_WAITING)
    {
        tracing::warn!(
            kind = new.content.kind(),
            "a mail was not queued: there are too many"
        );
        return Ok(false);
    }
    let (user, operator) = new.holder.map_or((None, None), TicketHolder::columns);
    let sql = "INSERT INTO mail_outbox (kind, arguments, token_hash, secret, recipient, user_id, \
               operator_id, created_at, next_try, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)";
    execute!(
        tx.connection(),
        sql,
        new.content.kind(),
        json(new.content)?,
        token_hash,
        sealed,
        recipient,
        user,
        operator,
        new.now.0,
        new.expires.0
    )?;
    tx.mail_was_queued();
    Ok(true)
}

fn json(content: &MailContent) -> Result<String> {
    serde_json::to_string(content)
        .map_err(|_| StoreError::Corrupt("the content of a mail".to_owned()))
}

type Claimed = (
    i64,
    String,
    Option<String>,
    String,
    String,
    Option<i64>,
    Option<i64>,
    i64,
    i64,
);

type Listed = (
    i64,
    String,
    String,
    String,
    i64,
    i64,
    i64,
    Option<i64>,
    String,
);

fn listed(row: Listed) -> Result<MailRow> {
    let (id, kind, recipient, state, tries, created, next, done, answer) = row;
    let state = MailState::parse(&state)
        .ok_or_else(|| StoreError::Corrupt(format!("mail_outbox.state of {id}")))?;
    Ok(MailRow {
        id,
        kind,
        recipient,
        state,
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
        created_at: Timestamp(created),
        next_try: (state == MailState::Waiting).then_some(Timestamp(next)),
        done_at: done.map(Timestamp),
        answer,
    })
}

impl Store {
    /// Lets changes queue mail from now on; without it none is queued.
    pub fn enable_mail(&self) {
        self.db.mail().enable();
    }

    /// Waits until a change has queued mail in this process.
    pub async fn mail_queued(&self) {
        self.db.mail().rung().await;
    }

    /// Queues a mail that belongs to no other change.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn queue_mail(&self, new: NewMail<'_>, entry: AuditEntry) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let queued = queue(&mut tx, &self.sealer, &new).await?;
        audit::write(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(queued)
    }

    /// Claims the mail whose time has come first, until `lease` has passed. A mail that cannot
    /// be read is given up, and `None` is returned as for an empty queue.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn claim_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<ClaimedMail>> {
        let lock = match self.db.reader() {
            Either::Sqlite(_) => "",
            Either::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        };
        let millis = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let sql = sqlx::AssertSqlSafe(claim_sql(lock));
        let until = now.plus_millis(millis);
        let row: Option<Claimed> = fetch_optional!(self.db.writer(), _, sql, now.0, until.0)?;
        let Some(row) = row else { return Ok(None) };
        let (id, tries) = (row.0, row.8);
        let tries = u32::try_from(tries).unwrap_or(u32::MAX);
        match self.claimed(row, tries).await {
            Ok(claimed) => Ok(Some(claimed)),
            Err(error @ (StoreError::Corrupt(_) | StoreError::Seal(_))) => {
                tracing::error!(?error, mail = id, "a mail of the outbox cannot be read");
                self.end_mail_try(id, tries, MailTry::Failed, "", now)
                    .await?;
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    async fn claimed(&self, row: Claimed, tries: u32) -> Result<ClaimedMail> {
        let (id, arguments, hash, secret, recipient, user, operator, created_at, _) = row;
        let corrupt = |column: &str| StoreError::Corrupt(format!("mail_outbox.{column} of {id}"));
        let token = match hash {
            Some(hash) if !secret.is_empty() => {
                let plain = self.sealer.open(Purpose::MailToken, &hash, &secret)?;
                let text = std::str::from_utf8(&plain).map_err(|_| corrupt("secret"))?;
                Some(Secret::new(text))
            }
            _ => None,
        };
        let holder = TicketHolder::of_columns(user, operator);
        let account = match holder {
            Some(holder) => self.account(holder).await?,
            None => None,
        };
        let is_operator = operator.is_some();
        Ok(ClaimedMail {
            id,
            content: serde_json::from_str(&arguments).map_err(|_| corrupt("arguments"))?,
            token,
            recipient: MailAddress::parse(&recipient).map_err(|_| corrupt("recipient"))?,
            account: account.map(|account| (account.name, is_operator)),
            created_at: Timestamp(created_at),
            tries,
        })
    }

    /// Notes how a try ended. Of a try that failed nothing is noted if another one has begun, or
    /// was asked for, since. The token is removed from a mail that was sent.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn end_mail_try(
        &self,
        id: i64,
        tries: u32,
        ended: MailTry,
        answer: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let of_try = "WHERE id = $1 AND tries = $2 AND state = 'waiting'";
        let tries = i64::from(tries);
        let changed = match ended {
            MailTry::Sent => {
                // Also where it was to be tried again meanwhile: it need not be.
                let sql = "UPDATE mail_outbox SET state = 'sent', done_at = $2, answer = $3, \
                           secret = '', token_hash = NULL WHERE id = $1 AND state <> 'sent'";
                execute!(self.db.writer(), sql, id, now.0, answer)?
            }
            MailTry::Failed => {
                let sql = sqlx::AssertSqlSafe(format!(
                    "UPDATE mail_outbox SET state = 'failed', done_at = $3, answer = $4 {of_try}"
                ));
                execute!(self.db.writer(), sql, id, tries, now.0, answer)?
            }
            MailTry::Deferred(next) => {
                let sql = sqlx::AssertSqlSafe(format!(
                    "UPDATE mail_outbox SET next_try = $3, answer = $4 {of_try}"
                ));
                execute!(self.db.writer(), sql, id, tries, next.0, answer)?
            }
        };
        Ok(changed > 0)
    }

    /// Gives mails up that are not worth sending any more. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn expire_mail(&self, now: Timestamp) -> Result<u64> {
        let sql = "UPDATE mail_outbox SET state = 'failed', done_at = $1 \
                   WHERE state = 'waiting' AND next_try <= $1 AND expires_at <= $1";
        execute!(self.db.writer(), sql, now.0)
    }

    /// Returns when the next mail is due.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn next_mail(&self) -> Result<Option<Timestamp>> {
        let row: Option<(i64,)> = fetch_optional!(self.db.reader(), _, NEXT)?;
        Ok(row.map(|(at,)| Timestamp(at)))
    }

    /// Counts the mails that were sent in the hour before.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn mail_sent_in_hour(&self, now: Timestamp) -> Result<u64> {
        let since = now.0 - HOUR_MILLIS;
        let row: Option<(i64,)> = fetch_optional!(self.db.reader(), _, SENT_SINCE, since)?;
        Ok(row.map_or(0, |(n,)| unsigned(n)))
    }

    /// Counts the mails that wait and those that were given up.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn mail_counts(&self, now: Timestamp) -> Result<MailCounts> {
        let sql = "SELECT state, COUNT(*), MIN(created_at) FROM mail_outbox \
                   WHERE state IN ('waiting', 'failed') GROUP BY state";
        let rows: Vec<(String, i64, i64)> = fetch_all!(self.db.reader(), _, sql)?;
        let mut counts = MailCounts::default();
        for (state, count, oldest) in rows {
            match state.as_str() {
                "waiting" => {
                    counts.waiting = unsigned(count);
                    counts.oldest_millis = unsigned(now.0 - oldest);
                }
                _ => counts.failed = unsigned(count),
            }
        }
        Ok(counts)
    }

    /// Lists mails, the newest first, from before the one with the id `before`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn mails(&self, before: i64, limit: u32) -> Result<Vec<MailRow>> {
        let sql = "SELECT id, kind, recipient, state, tries, created_at, next_try, done_at, answer \
                   FROM mail_outbox WHERE id < $1 ORDER BY id DESC LIMIT $2";
        let rows = fetch_all!(self.db.reader(), Listed, sql, before, i64::from(limit))?;
        rows.into_iter().map(listed).collect()
    }

    /// Does what [`Self::mails`] does, without those that were sent.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn unsent_mails(&self, before: i64, limit: u32) -> Result<Vec<MailRow>> {
        let sql = "SELECT id, kind, recipient, state, tries, created_at, next_try, done_at, answer \
                   FROM mail_outbox WHERE id < $1 AND state <> 'sent' ORDER BY id DESC LIMIT $2";
        let rows = fetch_all!(self.db.reader(), Listed, sql, before, i64::from(limit))?;
        rows.into_iter().map(listed).collect()
    }

    /// Removes a mail that was not sent. The entry gets its kind and recipient, and the tenant
    /// that it was for. One that is being handed over at this moment may still arrive.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] where there is none, or it was sent.
    pub async fn discard_mail(&self, id: i64, entry: AuditEntry) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM mail_outbox WHERE id = $1 AND state <> 'sent' \
                   RETURNING kind, recipient, user_id";
        let row: Option<(String, String, Option<i64>)> =
            fetch_optional!(tx.connection(), _, sql, id)?;
        let (kind, recipient, user) = row.ok_or(StoreError::NotFound)?;
        let entry = AuditEntry {
            before: format!("{kind} to {recipient}"),
            tenant: user.map(TenantId),
            ..entry
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Lets a mail that was given up, or that waits, be tried now and from the first try on.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] where there is none, it was sent, or its link is over.
    pub async fn retry_mail(
        &self,
        id: i64,
        now: Timestamp,
        expires: Timestamp,
        entry: AuditEntry,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        // A link is not valid for longer because its mail is late.
        let sql = "UPDATE mail_outbox SET state = 'waiting', done_at = NULL, tries = 0, \
                   next_try = $2, expires_at = CASE WHEN token_hash IS NULL THEN $3 \
                   ELSE expires_at END WHERE id = $1 AND state <> 'sent' \
                   AND (token_hash IS NULL OR expires_at > $2)";
        if execute!(tx.connection(), sql, id, now.0, expires.0)? == 0 {
            return Err(StoreError::NotFound);
        }
        audit::write(&mut tx, entry).await?;
        tx.mail_was_queued();
        tx.commit().await
    }

    /// Removes mails that were sent or given up before `until`. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_mail(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM mail_outbox WHERE done_at < $1";
        execute!(self.db.writer(), sql, until.0)
    }
}
