//! An operator who looks in: a session on a tenant's host that belongs to the operator's own
//! session. It reads, and for a while it may change things where that was allowed.
//!
//! Nothing of it is decided when it begins: with each request the row of the look, the operator's
//! role and password and its session are read again, so that a lowered role, a removed operator
//! and a sign-out are in force with the next one. What it may do is a [`TenantPermission`], of
//! which the tenant's own part, which shows keys and changes the account, is never issued.

use super::{
    AccountScope, Auth, Presence, PresentedTicket, account_scope::AccountCaller,
    client::SignInClient, sessions::proof,
};
use crate::{
    failures::store_failure,
    inner::Inner,
    inputs::{Audience, SignInTicket},
};
use domain::{
    ErrorCode, Failure, Message, OperatorAdmission, OperatorRole, OperatorScope, SupportScope,
    TenantId, TenantName, TenantPermission, TenantScope, Timestamp,
};
use std::time::Duration;
use store::{
    AuditEntry, LookRecord, NewLook, NewTicket, SessionDetails, SessionKey, SessionRef,
    TicketHolder, TokenHash,
};

/// How long a look lasts.
const LOOK_MILLIS: i64 = 3_600_000;
/// How long it may change things once that was allowed.
const CHANGES_MILLIS: i64 = 900_000;
/// How long the ticket is valid that leads to the tenant's host.
const TICKET_MILLIS: i64 = 60_000;

/// A look, for the banner on each of its pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookingIn {
    /// The operator's name.
    pub operator: String,
    pub tenant: TenantId,
    /// When it ends.
    pub expires: Timestamp,
    /// Until when it may change things; `None` while it only reads.
    pub changes_until: Option<Timestamp>,
    /// Whether its operator may allow itself changes.
    pub may_allow_changes: bool,
    /// The operator's session.
    session: SessionKey,
    /// The value that the operator's password had when the session began.
    proof: String,
}

/// How often looks are ended that are over.
const INTERVAL: Duration = Duration::from_secs(10);

/// Ends the looks that are over, so that the audit log says when, until the future is dropped.
pub(crate) async fn run_looks(inner: &Inner) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        inner.leases.jobs_are_held().await;
        let now = inner.clock.now();
        if let Err(error) = inner.store.end_looks_that_are_over(now).await {
            tracing::warn!(
                ?error,
                "looks that are over could not be ended; it is tried again"
            );
        }
    }
}

impl Auth<'_> {
    /// Begins a look of an operator, in the operator's own session, at a tenant. Returns the
    /// ticket that leads to the tenant's host.
    ///
    /// # Errors
    /// `NotFound`; `NotPermitted` for a tenant and for a session of the API.
    pub async fn look_in(
        self,
        operator: &OperatorScope,
        account: &AccountScope,
        tenant: TenantId,
    ) -> Result<SignInTicket, Failure> {
        let session = operator_session(account)?;
        let store = &self.0.store;
        let name = store.tenant_name(tenant).await.map_err(store_failure)?;
        let name = name.ok_or_else(Failure::not_found)?;
        let found = store.operator_by_name(operator.name()).await;
        let found = found.map_err(store_failure)?;
        let record = found.ok_or_else(Failure::signed_out)?;
        let now = self.0.clock.now();
        let actor = operator.actor();
        let begun = store.begin_look(NewLook {
            session,
            operator: record.id,
            tenant,
            actor: &actor,
            origin: operator.origin(),
            now,
            expires: now.plus_millis(LOOK_MILLIS),
        });
        begun.await.map_err(store_failure)?;
        let ticket = self.0.entropy.token()?;
        let (hash, proof) = (TokenHash::of(&ticket), proof(&record.password_hash));
        let created = store.create_ticket(NewTicket {
            token: &hash,
            holder: TicketHolder::Operator(record.id),
            audience: Audience::LookIn.as_str(),
            parent: Some(session),
            proof: &proof,
            stays: false,
            now,
            expires: now.plus_millis(TICKET_MILLIS),
            entry: None,
        });
        created.await.map_err(store_failure)?;
        Ok(SignInTicket {
            name,
            ticket,
            browser: self.0.entropy.token()?,
        })
    }

    /// Uses up the ticket of a look on the tenant's host. Returns what the session stores that
    /// begins with it.
    ///
    /// # Errors
    /// `TicketInvalid` for one that was used, has expired, never existed, or belongs to another
    /// tenant or browser; also where the look is over.
    pub async fn arrive_to_look(
        self,
        host: &TenantName,
        ticket: PresentedTicket<'_>,
        client: impl Into<SignInClient>,
    ) -> Result<SessionDetails, Failure> {
        let client = client.into().checked();
        let invalid = || Failure::new(ErrorCode::TicketInvalid, Message::TicketInvalid);
        let hash = ticket.stored_hash().ok_or_else(invalid)?;
        let now = self.0.clock.now();
        let (store, audience) = (&self.0.store, Audience::LookIn);
        let redeemed = store.redeem_ticket(&hash, audience.as_str(), now).await;
        let taken = redeemed.map_err(store_failure)?.ok_or_else(invalid)?;
        let parent = taken.parent.ok_or_else(invalid)?;
        let found = self.look(host, &parent, &taken.proof).await?;
        let look = found.filter(|l| TicketHolder::Operator(l.operator) == taken.holder);
        let look = look.ok_or_else(invalid)?;
        Ok(SessionDetails {
            holder: taken.holder,
            name: look.operator_name,
            audience: audience.as_str().to_owned(),
            parent: Some(parent),
            proof: taken.proof,
            stays: false,
            client: client.description(),
            begun: now,
        })
    }

    /// Issues the permission of a look's session on the host of the tenant `host`, as it is now:
    /// `None` once the look, the operator's session or the operator is gone.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn look_session(
        self,
        host: &TenantName,
        session: &SessionDetails,
    ) -> Result<Option<(TenantPermission, LookingIn)>, Failure> {
        let Some(parent) = &session.parent else {
            return Ok(None);
        };
        let found = self.look(host, parent, &session.proof).await?;
        let Some(look) = found.filter(|l| TicketHolder::Operator(l.operator) == session.holder)
        else {
            return Ok(None);
        };
        let may_change = look.role >= OperatorRole::Support;
        let now = self.0.clock.now();
        let until = look.changes_until.filter(|at| may_change && *at > now);
        let actor = format!("operator:{}", look.operator_name);
        let permission =
            TenantPermission::Change(TenantScope::issue(look.tenant, host.clone(), actor));
        let permission = match until {
            Some(_) => permission,
            None => permission.read_only(),
        };
        let look = LookingIn {
            operator: look.operator_name,
            tenant: look.tenant,
            expires: look.expires,
            changes_until: until,
            may_allow_changes: may_change,
            session: parent.clone(),
            proof: session.proof.clone(),
        };
        Ok(Some((permission, look)))
    }

    /// Lets the operator's own look at a tenant change things for a quarter of an hour, but not
    /// beyond its end. The operator's role and presence are what allows it.
    ///
    /// # Errors
    /// `NotFound` without such a look.
    pub async fn allow_changes(
        self,
        operator: &SupportScope,
        account: &AccountScope,
        _presence: Presence,
        tenant: TenantId,
    ) -> Result<(), Failure> {
        let session = operator_session(account)?;
        let store = &self.0.store;
        let name = store.tenant_name(tenant).await.map_err(store_failure)?;
        let name = name.ok_or_else(Failure::not_found)?;
        let look = store.look(session, &name).await.map_err(store_failure)?;
        let look = look.ok_or_else(Failure::not_found)?;
        let now = self.0.clock.now();
        let until = now.plus_millis(CHANGES_MILLIS).min(look.expires);
        let entry = AuditEntry {
            at: now,
            actor: operator.actor(),
            action: "look.change".to_owned(),
            object: name.to_string(),
            tenant: Some(tenant),
            origin: operator.origin().to_owned(),
            after: until.rfc_3339(),
            ..AuditEntry::default()
        };
        let allowed = store
            .allow_look_changes(session, tenant, until, entry)
            .await;
        match allowed.map_err(store_failure)? {
            true => Ok(()),
            false => Err(Failure::not_found()),
        }
    }

    /// Returns whether a look lasts, for streams that outlive their request.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn look_lasts(self, host: &TenantName, look: &LookingIn) -> Result<bool, Failure> {
        let found = self.look(host, &look.session, &look.proof).await?;
        Ok(found.is_some())
    }

    /// Ends a look.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn leave(self, look: &LookingIn) -> Result<(), Failure> {
        let (store, now) = (&self.0.store, self.0.clock.now());
        let ended = store.end_look(&look.session, look.tenant, now).await;
        ended.map_err(store_failure)
    }

    /// Returns the look of an operator's session at a tenant, if it is not over, the operator's
    /// password is still that of `session_proof`, and it is no owner without a second factor.
    async fn look(
        self,
        host: &TenantName,
        session: &SessionKey,
        session_proof: &str,
    ) -> Result<Option<LookRecord>, Failure> {
        let found = self.0.store.look(session, host).await;
        let now = self.0.clock.now();
        let is_admitted = |look: &LookRecord| {
            OperatorAdmission::issue(look.role, &look.operator_name, look.has_factor)
                .permission()
                .is_ok()
        };
        Ok(found.map_err(store_failure)?.filter(|look| {
            is_admitted(look)
                && look.expires > now
                && look.session_expires > now
                && proof(&look.password_hash) == session_proof
        }))
    }
}

/// Returns the browser's session of an operator.
fn operator_session(account: &AccountScope) -> Result<&SessionKey, Failure> {
    match (account.caller(), account.session()) {
        (AccountCaller::Operator(_), SessionRef::Browser(key)) => Ok(key),
        _ => Err(Failure::new(
            ErrorCode::NotPermitted,
            Message::AccessOperatorOnly,
        )),
    }
}
