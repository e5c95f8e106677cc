//! Operators who look in as a tenant. A look is a row while it lasts; that it began, what was
//! changed and that it ended is in the audit log, about the tenant and by the operator.

use crate::{
    AuditEntry, OperatorId, Result, SessionKey, Store, StoreError, audit,
    db::{Tx, execute, fetch_all, fetch_optional},
    operators::role_of,
};
use domain::{OperatorRole, Secret, TenantId, TenantName, Timestamp};

/// How many looks that are over are ended at a time.
const BATCH: i64 = 100;

/// A look to begin.
#[derive(Clone, Debug)]
pub struct NewLook<'a> {
    /// The operator's session.
    pub session: &'a SessionKey,
    pub operator: OperatorId,
    pub tenant: TenantId,
    /// The operator, as the audit log names it.
    pub actor: &'a str,
    /// The prefix of the operator's address.
    pub origin: &'a str,
    pub now: Timestamp,
    pub expires: Timestamp,
}

/// A look, with what decides whether it is valid: the operator as it is now, and the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookRecord {
    pub tenant: TenantId,
    pub operator: OperatorId,
    pub operator_name: String,
    pub role: OperatorRole,
    /// Whether a second factor of the operator holds.
    pub has_factor: bool,
    pub password_hash: Secret,
    pub expires: Timestamp,
    /// Until when it may change things, if that was allowed.
    pub changes_until: Option<Timestamp>,
    /// Until when the operator's session lasts.
    pub session_expires: Timestamp,
}

type LookRow = (i64, i64, String, String, i64, String, i64, Option<i64>, i64);

/// Finds the look of a session at the tenant of that name.
pub(crate) const LOOK: &str = "SELECT l.user_id, o.id, o.username, o.role, \
     (SELECT COUNT(*) FROM factors f WHERE f.operator_id = o.id AND f.confirmed_at IS NOT NULL), \
     o.password_hash, \
     l.expires_at, l.changes_until, s.expires \
     FROM looks l JOIN users u ON u.id = l.user_id JOIN operators o ON o.id = l.operator_id \
     JOIN sessions s ON s.id = l.session \
     WHERE l.session = $1 AND u.username = $2";

/// A look that ends.
type Ending = (String, i64, String, String, i64, i64, String);

const ENDING: &str = "SELECT l.session, l.user_id, l.actor, l.origin, l.begun_at, l.expires_at, \
     u.username FROM looks l JOIN users u ON u.id = l.user_id \
     WHERE l.session = $1 AND l.user_id = $2";

impl Store {
    /// Begins a look, and ends the one that the session has at that tenant. The audit log says
    /// both.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the tenant or the operator was deleted.
    pub async fn begin_look(&self, new: NewLook<'_>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        end_in(&mut tx, new.session, new.tenant, new.now).await?;
        let name = "SELECT username FROM users WHERE id = $1";
        let name = fetch_optional!(tx.connection(), (String,), name, new.tenant.0)?;
        let (name,) = name.ok_or(StoreError::NotFound)?;
        let sql = "INSERT INTO looks (session, user_id, operator_id, actor, origin, begun_at, \
                   expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.session.as_str(),
            new.tenant.0,
            new.operator.0,
            new.actor,
            new.origin,
            new.now.0,
            new.expires.0
        );
        match inserted {
            Ok(_) => {}
            Err(e) if e.is_foreign_key_violation() => return Err(StoreError::NotFound),
            Err(e) => return Err(e),
        }
        let entry = AuditEntry {
            at: new.now,
            actor: new.actor.to_owned(),
            action: "look.begin".to_owned(),
            object: name,
            tenant: Some(new.tenant),
            origin: new.origin.to_owned(),
            ..AuditEntry::default()
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Returns the look of an operator's session at the tenant of that name.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn look(
        &self,
        session: &SessionKey,
        tenant: &TenantName,
    ) -> Result<Option<LookRecord>> {
        let (session, tenant) = (session.as_str(), tenant.as_str());
        let row = fetch_optional!(self.db.reader(), LookRow, LOOK, session, tenant)?;
        let read =
            |(tenant, operator, name, role, factors, hash, expires, until, session): LookRow| {
                Ok(LookRecord {
                    tenant: TenantId(tenant),
                    operator: OperatorId(operator),
                    role: role_of(&role, &name)?,
                    has_factor: factors > 0,
                    operator_name: name,
                    password_hash: Secret::new(hash),
                    expires: Timestamp(expires),
                    changes_until: until.map(Timestamp),
                    session_expires: Timestamp(session),
                })
            };
        row.map(read).transpose()
    }

    /// Lets a look change things until then, with its audit entry. Returns whether there was
    /// such a look.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn allow_look_changes(
        &self,
        session: &SessionKey,
        tenant: TenantId,
        until: Timestamp,
        entry: AuditEntry,
    ) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE looks SET changes_until = $3 \
                   WHERE session = $1 AND user_id = $2 AND expires_at > $4";
        let (key, now) = (session.as_str(), entry.at.0);
        let changed = execute!(tx.connection(), sql, key, tenant.0, until.0, now)?;
        if changed == 1 {
            audit::write(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(changed == 1)
    }

    /// Ends a look, if there is one. The audit log says from when to when it lasted, and what
    /// was changed.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn end_look(
        &self,
        session: &SessionKey,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        end_in(&mut tx, session, tenant, now).await?;
        tx.commit().await
    }

    /// Ends the looks that are over: their time is up, the operator's session has ended or was
    /// ended, or the operator was removed. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn end_looks_that_are_over(&self, now: Timestamp) -> Result<u64> {
        let sql = "SELECT l.session, l.user_id FROM looks l \
                   LEFT JOIN sessions s ON s.id = l.session \
                   WHERE l.expires_at <= $1 OR l.operator_id IS NULL OR s.id IS NULL \
                   OR s.expires <= $1 LIMIT $2";
        let due = fetch_all!(self.db.reader(), (String, i64), sql, now.0, BATCH)?;
        for (session, tenant) in &due {
            let session = SessionKey::of_text(session.as_str());
            self.end_look(&session, TenantId(*tenant), now).await?;
        }
        Ok(due.len() as u64)
    }
}

/// Ends all looks at a tenant that is about to be deleted, within the transaction that does it:
/// the rows would go without an entry.
pub(crate) async fn end_all_at(tx: &mut Tx, tenant: TenantId, now: Timestamp) -> Result<()> {
    let sql = "SELECT session FROM looks WHERE user_id = $1 ORDER BY begun_at, session";
    let looks = fetch_all!(tx.connection(), (String,), sql, tenant.0)?;
    for (session,) in looks {
        end_in(tx, &SessionKey::of_text(session.as_str()), tenant, now).await?;
    }
    Ok(())
}

/// Ends a look within a transaction.
async fn end_in(tx: &mut Tx, session: &SessionKey, tenant: TenantId, now: Timestamp) -> Result<()> {
    let row = fetch_optional!(tx.connection(), Ending, ENDING, session.as_str(), tenant.0)?;
    let Some((key, user, actor, origin, begun, expires, name)) = row else {
        return Ok(());
    };
    let sql = "DELETE FROM looks WHERE session = $1 AND user_id = $2";
    if execute!(tx.connection(), sql, key, user)? == 0 {
        return Ok(());
    }
    let until = now.min(Timestamp(expires));
    let sql = "SELECT action, COUNT(*) FROM audit_log WHERE user_id = $1 AND actor = $2 \
               AND at >= $3 AND at <= $4 AND action NOT LIKE 'look.%' \
               GROUP BY action ORDER BY action";
    let changes = fetch_all!(
        tx.connection(),
        (String, i64),
        sql,
        user,
        actor.as_str(),
        begun,
        until.0
    )?;
    let changes: Vec<_> = changes.iter().map(|(a, n)| format!("{a} {n}")).collect();
    let entry = AuditEntry {
        at: now,
        actor,
        action: "look.end".to_owned(),
        object: name,
        detail: changes.join(", "),
        tenant: Some(TenantId(user)),
        origin,
        before: Timestamp(begun).rfc_3339(),
        after: until.rfc_3339(),
    };
    audit::write(tx, entry).await
}
