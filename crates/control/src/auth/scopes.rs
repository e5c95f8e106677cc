//! Scopes for an operator who acts on a tenant.

use crate::{Control, failures::store_failure};
use domain::{Failure, OperatorScope, TenantId, TenantScope};

impl Control {
    /// Issues the permission to act on a tenant as the operator. The audit log
    /// names the operator.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn operator_tenant(
        &self,
        scope: &OperatorScope,
        id: TenantId,
    ) -> Result<TenantScope, Failure> {
        let tenants = self
            .0
            .store
            .tenants(self.0.clock.now())
            .await
            .map_err(store_failure)?;
        let found = tenants
            .into_iter()
            .find(|t| t.tenant.id == id)
            .ok_or_else(Failure::not_found)?;
        Ok(TenantScope::issue(id, found.tenant.name, scope.actor()))
    }
}
