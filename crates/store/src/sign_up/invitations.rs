//! Invitations: made by operators, used up by sign-ups.

use crate::{
    Result, Store, StoreError, TokenHash,
    audit::{self, AuditEntry},
    db::{Tx, execute, fetch_all, fetch_optional},
};
use domain::{Invitation, InvitationId, InvitationState, InvitationTerms, SupportScope, Timestamp};

const HOUR_MILLIS: i64 = 3_600_000;

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    plan: Option<String>,
    uses: i64,
    used: i64,
    note: String,
    created_by: String,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    /// NULL where there is no plan, or it was deleted.
    plan_id: Option<String>,
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT invitations.id, invitations.plan, uses, used, note, created_by, created_at, \
             expires_at, revoked_at, plans.id AS plan_id FROM invitations \
             LEFT JOIN plans ON plans.id = invitations.plan WHERE ",
            $condition
        )
    };
}

pub(crate) const BEFORE: &str =
    select!("invitations.id < $1 ORDER BY invitations.id DESC LIMIT $2");
pub(crate) const BY_CODE: &str = select!("code_hash = $1");
const BY_ID: &str = select!("invitations.id = $1");

impl Row {
    fn state(&self, now: Timestamp) -> InvitationState {
        if self.revoked_at.is_some() {
            InvitationState::Revoked
        } else if self.used >= self.uses {
            InvitationState::UsedUp
        } else if self.expires_at <= now.0 {
            InvitationState::Expired
        } else if self.plan.is_some() && self.plan_id.is_none() {
            InvitationState::PlanGone
        } else {
            InvitationState::Open
        }
    }

    fn invitation(self, now: Timestamp) -> Invitation {
        let number = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        Invitation {
            state: self.state(now),
            id: InvitationId(self.id),
            plan: self.plan,
            uses: number(self.uses),
            used: number(self.used),
            note: self.note,
            created_by: self.created_by,
            created_at: Timestamp(self.created_at),
            expires_at: Timestamp(self.expires_at),
        }
    }
}

impl Store {
    /// Makes an invitation of these terms for each code, all or none. The caller has
    /// checked the terms. Returns the ids in the order of the codes.
    ///
    /// # Errors
    /// Returns [`StoreError::PlanUnknown`].
    pub async fn create_invitations(
        &self,
        by: &SupportScope,
        terms: &InvitationTerms,
        codes: &[TokenHash],
        now: Timestamp,
    ) -> Result<Vec<InvitationId>> {
        let mut tx = self.db.begin().await?;
        if let Some(plan) = &terms.plan {
            let plan = crate::plans::plan_in(&mut tx, plan).await?;
            plan.ok_or(StoreError::PlanUnknown)?;
        }
        let expires = now.plus_millis(i64::from(terms.hours) * HOUR_MILLIS);
        let actor = by.actor();
        let sql = "INSERT INTO invitations \
                   (code_hash, plan, uses, note, created_by, created_at, expires_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
        let mut ids = Vec::with_capacity(codes.len());
        for code in codes {
            let made = fetch_optional!(
                tx.connection(),
                (i64,),
                sql,
                code.as_str(),
                terms.plan.as_deref(),
                i64::from(terms.uses),
                terms.note.as_str(),
                actor.as_str(),
                now.0,
                expires.0
            )?;
            ids.extend(made.map(|(id,)| InvitationId(id)));
        }
        let object = match ids.as_slice() {
            [] => return Ok(ids),
            [id] => format!("invitation {id}"),
            [first, .., last] => format!("invitations {first} to {last}"),
        };
        let entry = AuditEntry {
            at: now,
            actor,
            action: "invitation.create".to_owned(),
            object,
            detail: format!(
                "{}, {} uses, {} hours",
                terms.plan.as_deref().unwrap_or("any plan"),
                terms.uses,
                terms.hours
            ),
            origin: by.origin().to_owned(),
            ..AuditEntry::default()
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(ids)
    }

    /// Lists invitations, the newest first, from before the one with the id `before`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn invitations_before(
        &self,
        before: i64,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Invitation>> {
        let rows = fetch_all!(self.db.reader(), Row, BEFORE, before, i64::from(limit))?;
        Ok(rows.into_iter().map(|r| r.invitation(now)).collect())
    }

    /// Finds an invitation by its code.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn invitation_by_code(
        &self,
        code: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Invitation>> {
        let row = fetch_optional!(self.db.reader(), Row, BY_CODE, code.as_str())?;
        Ok(row.map(|r| r.invitation(now)))
    }

    /// Revokes an invitation: no further tenant signs up with it. Does nothing if it was
    /// revoked before.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`].
    pub async fn revoke_invitation(
        &self,
        by: &SupportScope,
        id: InvitationId,
        now: Timestamp,
    ) -> Result<Invitation> {
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE invitations SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        let revoked = execute!(tx.connection(), sql, id.0, now.0)?;
        let row = fetch_optional!(tx.connection(), Row, BY_ID, id.0)?;
        let row = row.ok_or(StoreError::NotFound)?;
        if revoked > 0 {
            let entry = AuditEntry {
                at: now,
                actor: by.actor(),
                action: "invitation.revoke".to_owned(),
                object: format!("invitation {id}"),
                detail: format!("{} of {} uses left", row.uses - row.used, row.uses),
                origin: by.origin().to_owned(),
                ..AuditEntry::default()
            };
            audit::write(&mut tx, entry).await?;
            tx.commit().await?;
        }
        Ok(row.invitation(now))
    }

    /// Removes the invitations that expired before `until`. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_invitations(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM invitations WHERE expires_at < $1";
        execute!(self.db.writer(), sql, until.0)
    }
}

/// Uses an invitation once for a tenant with that plan, within the transaction of a
/// sign-up. Of two that use it for the last time at once, the second waits for the first
/// and is refused.
///
/// # Errors
/// `InvitationUnknown`, `InvitationNotOpen`, `PlanUnknown` for another plan than its own.
pub(crate) async fn use_once(
    tx: &mut Tx,
    code: &TokenHash,
    plan: &str,
    now: Timestamp,
) -> Result<InvitationId> {
    let sql = "UPDATE invitations SET used = used + 1 WHERE code_hash = $1 AND used < uses \
               AND expires_at > $2 AND revoked_at IS NULL AND (plan IS NULL OR plan = $3) \
               RETURNING id";
    let used = fetch_optional!(tx.connection(), (i64,), sql, code.as_str(), now.0, plan)?;
    if let Some((id,)) = used {
        return Ok(InvitationId(id));
    }
    let row = fetch_optional!(tx.connection(), Row, BY_CODE, code.as_str())?;
    let row = row.ok_or(StoreError::InvitationUnknown)?;
    Err(match row.state(now) {
        InvitationState::Open => StoreError::PlanUnknown,
        state => StoreError::InvitationNotOpen { state },
    })
}
