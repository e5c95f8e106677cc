//! Issues permissions, after checking what the caller found behind a cookie, or
//! who the caller is.
//!
//! Invariant: only this folder issues a scope. A session is valid only on the host
//! on which it began, for as long as its tenant or operator exists as it was then,
//! and no longer than [`Audience::max_age`].

use super::{Auth, sessions::proof};
use crate::{failures::store_failure, inputs::Audience};
use domain::{Failure, OperatorScope, TenantId, TenantName, TenantScope, Timestamp};
use store::{SessionKey, Sessions};

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
    ) -> Result<Option<TenantScope>, Failure> {
        if self.fits(Audience::Dashboard, host, session) {
            self.own_scope(session.tenant, host).await
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
    ) -> Result<Option<TenantScope>, Failure> {
        if !self.fits(Audience::Dns, host, session) {
            return Ok(None);
        }
        let sessions = Sessions::new(self.0.store.clone());
        match sessions.is_active(parent).await.map_err(store_failure)? {
            true => self.own_scope(session.tenant, host).await,
            false => Ok(None),
        }
    }

    /// Issues the permission of an operator's session that began then. It is valid
    /// only while the operator's password is the one of the sign-in, which `proof`
    /// tells ([`OperatorSession`](crate::OperatorSession)).
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn operator_session(
        self,
        name: &str,
        session_proof: &str,
        begun: Timestamp,
    ) -> Result<Option<OperatorScope>, Failure> {
        if !Audience::Operator.is_young(begun, self.0.clock.now()) {
            return Ok(None);
        }
        let found = self.0.store.operator_by_name(name).await;
        let found = found.map_err(store_failure)?;
        Ok(found
            .filter(|o| proof(&o.password_hash) == session_proof)
            .map(|o| OperatorScope::issue(o.name)))
    }

    /// Issues the permission to act on a tenant as the operator. The audit log
    /// names the operator.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn operator_tenant(
        self,
        scope: &OperatorScope,
        id: TenantId,
    ) -> Result<TenantScope, Failure> {
        let tenants = self
            .0
            .store
            .tenants(self.0.clock.now(), self.0.clock.now())
            .await
            .map_err(store_failure)?;
        let found = tenants
            .into_iter()
            .find(|t| t.tenant.id == id)
            .ok_or_else(Failure::not_found)?;
        Ok(TenantScope::issue(id, found.tenant.name, scope.actor()))
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
    pub fn command_line_operator(self) -> OperatorScope {
        OperatorScope::issue(COMMAND_LINE)
    }

    /// Issues a tenant's own permission, if that tenant still has that name.
    pub(super) async fn own_scope(
        self,
        id: TenantId,
        name: &TenantName,
    ) -> Result<Option<TenantScope>, Failure> {
        let found = self.0.store.tenant_by_name(name).await;
        let found = found.map_err(store_failure)?;
        Ok(found
            .filter(|t| t.id == id)
            .map(|t| TenantScope::issue(t.id, t.name, name.as_str())))
    }

    /// Returns whether a session belongs to that host and is not too old.
    fn fits(self, audience: Audience, host: &TenantName, session: TenantSession<'_>) -> bool {
        session.name == host && audience.is_young(session.begun, self.0.clock.now())
    }
}
