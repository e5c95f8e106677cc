//! The permission with which a signed-in holder manages the own API tokens on the pages.

use super::permission::{ApiCaller, ApiPermission};
use crate::{
    auth::{AccountCaller, AccountScope, Auth, sessions::proof},
    failures::store_failure,
};
use domain::{Access, Failure, OperatorAdmission, TenantPermission};
use store::TicketHolder;

impl Auth<'_> {
    /// Returns what the holder of an account may do with the own API tokens. Another one's
    /// tokens are not reached with it.
    ///
    /// # Errors
    /// `SignedOut` once the account is deleted; `DatabaseUnavailable`.
    pub async fn account_permission(self, scope: &AccountScope) -> Result<ApiPermission, Failure> {
        let store = &self.0.store;
        let (caller, holder, password_hash) = match scope.caller() {
            AccountCaller::Tenant(tenant) => {
                let holder = TicketHolder::Tenant(tenant.tenant());
                let found = store.account(holder).await.map_err(store_failure)?;
                let found = found.ok_or_else(Failure::signed_out)?;
                let caller = ApiCaller::Tenant(TenantPermission::Holder(tenant.clone()));
                (caller, holder, found.password_hash)
            }
            AccountCaller::Operator(operator) => {
                let found = store.operator_by_name(operator).await;
                let found = found.map_err(store_failure)?;
                let found = found.ok_or_else(Failure::signed_out)?;
                let holder = TicketHolder::Operator(found.id);
                let admission = OperatorAdmission::issue(found.role, found.name, found.has_factor);
                let caller = ApiCaller::from(admission);
                (caller, holder, found.password_hash)
            }
        };
        Ok(ApiPermission {
            caller,
            access: Access::Write,
            holder: Some(holder),
            credential: String::new(),
            proof: proof(&password_hash),
            acting: None,
            acting_operator: None,
            revision: None,
            is_session: true,
        })
    }
}
