//! Issues permissions, after checking what the caller found behind a cookie, or
//! who the caller is.
//!
//! Invariant: only this folder issues a scope. A session is valid only on the host
//! on which it began, for as long as its tenant or operator exists as it was then,
//! and no longer than [`Audience::max_age`].

use super::{Auth, sessions::proof};
use crate::{failures::store_failure, inputs::Audience};
use domain::{
    Failure, OperatorAdmission, OwnerScope, SupportScope, TenantHolderScope, TenantId, TenantName,
    TenantScope, Timestamp,
};
use store::{SessionKey, Sessions, TenantRecord};

/// The operator that the audit log names for the command line.
const COMMAND_LINE: &str = "cli";

/// What a tenant's session stores.
#[derive(Clone, Copy, Debug)]
pub struct TenantSession<'a> {
    /// The tenant who signed in.
    pub tenant: TenantId,
    /// The tenant's name at that time.
    pub name: &'a TenantName,
    /// The time of the sign-in.
    pub begun: Timestamp,
    /// The value that the tenant's password had at the time of the sign-in.
    pub proof: &'a str,
    /// Whether it lasts beyond a day.
    pub stays: bool,
}

impl Auth<'_> {
    /// Issues the permission of a dashboard's session on the host of the tenant
    /// `host`. Returns `None` if the session is not, or no longer, valid there.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn dashboard_session(
        self,
        host: &TenantName,
        session: TenantSession<'_>,
    ) -> Result<Option<TenantHolderScope>, Failure> {
        if self.fits(Audience::Dashboard, host, session) {
            self.session_scope(host, session).await
        } else {
            Ok(None)
        }
    }

    /// Issues the permission of a session inside the AdGuard Home of the tenant
    /// `host`. It is valid only while the dashboard's session exists with which it
    /// was created, the `parent`.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn dns_session(
        self,
        host: &TenantName,
        session: TenantSession<'_>,
        parent: &SessionKey,
    ) -> Result<Option<TenantHolderScope>, Failure> {
        if !self.fits(Audience::Dns, host, session) {
            return Ok(None);
        }
        let sessions = Sessions::new(self.0.store.clone());
        match sessions.is_active(parent).await.map_err(store_failure)? {
            true => self.session_scope(host, session).await,
            false => Ok(None),
        }
    }

    /// Issues what an operator's session has that began then: a permission or, for an owner
    /// without a second factor, the right to add one. It is valid only while the operator's
    /// password is the one of the sign-in, which `proof` tells
    /// ([`OperatorSession`](crate::OperatorSession)).
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn operator_session(
        self,
        name: &str,
        session_proof: &str,
        begun: Timestamp,
    ) -> Result<Option<OperatorAdmission>, Failure> {
        if !Audience::Operator.is_young(false, begun, self.0.clock.now()) {
            return Ok(None);
        }
        let found = self.0.store.operator_by_name(name).await;
        let found = found.map_err(store_failure)?;
        Ok(found
            .filter(|o| proof(&o.password_hash) == session_proof)
            .map(|o| OperatorAdmission::issue(o.role, o.name, o.has_factor)))
    }

    /// Issues the permission to act on a tenant as the operator. The audit log
    /// names the operator.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn operator_tenant(
        self,
        scope: &SupportScope,
        id: TenantId,
    ) -> Result<TenantScope, Failure> {
        let found = self.0.store.tenant_name(id).await.map_err(store_failure)?;
        let name = found.ok_or_else(Failure::not_found)?;
        Ok(TenantScope::issue(id, name, scope.actor()).with_origin(scope.origin()))
    }

    /// Issues the permission to act on a tenant at the command line. There is
    /// nothing to check: only root can open the database and its key file, and may
    /// do everything to both. The audit log names `operator:cli`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn command_line(self, name: &TenantName) -> Result<TenantScope, Failure> {
        let found = self.0.store.tenant_by_name(name).await;
        let found = found.map_err(store_failure)?;
        let tenant = found.ok_or_else(Failure::not_found)?;
        let actor = self.command_line_operator().actor();
        Ok(TenantScope::issue(tenant.id, tenant.name, actor))
    }

    /// Issues the permission to administer the installation at the command line, where
    /// there is nothing to check either.
    pub fn command_line_operator(self) -> OwnerScope {
        self.command_line_user(None)
    }

    /// Issues the same permission to a person who is not root, whom the audit log names too.
    pub(super) fn command_line_user(self, user: Option<&str>) -> OwnerScope {
        match user {
            Some(user) => OwnerScope::issue(format!("{COMMAND_LINE}:{user}")),
            None => OwnerScope::issue(COMMAND_LINE),
        }
    }

    async fn session_scope(
        self,
        host: &TenantName,
        session: TenantSession<'_>,
    ) -> Result<Option<TenantHolderScope>, Failure> {
        let found = self.own_tenant(session.tenant, host, session.proof).await?;
        Ok(found.map(own_scope))
    }

    /// Returns a tenant that still has that name and that password. One that sleeps is woken:
    /// it is being used.
    pub(super) async fn own_tenant(
        self,
        id: TenantId,
        name: &TenantName,
        session_proof: &str,
    ) -> Result<Option<TenantRecord>, Failure> {
        let found = self.0.store.tenant_by_name(name).await;
        let found = found.map_err(store_failure)?;
        let found = found.filter(|t| t.id == id && proof(&t.password_hash) == session_proof);
        if found.as_ref().is_some_and(|t| t.asleep_since.is_some()) {
            self.0.wake(id, name.as_str()).await?;
        }
        Ok(found)
    }

    /// Returns whether a session belongs to that host and is not too old.
    fn fits(self, audience: Audience, host: &TenantName, session: TenantSession<'_>) -> bool {
        session.name == host && audience.is_young(session.stays, session.begun, self.0.clock.now())
    }
}

/// Issues a tenant's own permission.
pub(super) fn own_scope(tenant: TenantRecord) -> TenantHolderScope {
    TenantHolderScope::issue(tenant.id, tenant.name)
}
