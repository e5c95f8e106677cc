//! The end of the own account.

use super::Account;
use crate::{
    auth::{AccountCaller, AccountScope, ApiPermission},
    tenants::Tenants,
};
use domain::{Access, ErrorCode, Failure, Message};

impl Account<'_> {
    /// Deletes the tenant whose account it is, as [`Tenants::delete`] does.
    ///
    /// # Errors
    /// `PresenceNeeded`; `NotPermitted` for an operator; `NotFound`.
    pub async fn delete_tenant(self, scope: &AccountScope) -> Result<bool, Failure> {
        let AccountCaller::Tenant(tenant) = scope.caller() else {
            let message = Message::AccessTenantOnly;
            return Err(Failure::new(ErrorCode::NotPermitted, message));
        };
        self.presence(scope).await?;
        Tenants(self.0).delete(tenant).await
    }

    /// Deletes the tenant that a request of the API acts for. Its own holder must be present; an
    /// owner who acts for it is not asked.
    ///
    /// # Errors
    /// As [`Account::delete_tenant`]; `NotPermitted` for an operator who is no owner.
    pub async fn delete_of_request(self, permission: &ApiPermission) -> Result<bool, Failure> {
        let tenant = permission.tenant(Access::Write)?;
        if permission.is_own() {
            let scope = permission.account(Access::Write)?;
            return self.delete_tenant(&scope).await;
        }
        let owner = permission.acting_owner()?;
        Tenants(self.0).operator_delete(owner, tenant).await
    }
}
