//! Accounts: names, sign-up, the dashboard, suspension and deletion.

mod dashboard;
mod sign_up;
mod terms;

use crate::{failures::store_failure, inner::Inner};
use domain::{ErrorCode, Failure, Field, Message, TenantName, TenantScope};
use store::TenantState;

/// The handle on the tenants' accounts and overviews.
#[derive(Clone, Copy)]
pub struct Tenants<'a>(pub(crate) &'a Inner);

impl Tenants<'_> {
    /// Returns the checked name if a typed name is available now.
    ///
    /// # Errors
    /// `NameMalformed`, `NameReserved`, `NameTaken`.
    pub async fn check_name(self, typed: &str) -> Result<TenantName, Failure> {
        let name = TenantName::parse(typed)?;
        if self.is_name_taken(&name).await? {
            return Err(Failure::at(
                Field::Name,
                ErrorCode::NameTaken,
                Message::NameTaken {
                    name: name.to_string(),
                },
            ));
        }
        Ok(name)
    }

    /// Returns whether a tenant has that name, so that its hosts are served.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn is_name_taken(self, name: &TenantName) -> Result<bool, Failure> {
        self.0.store.name_taken(name).await.map_err(store_failure)
    }

    /// Suspends a tenant (nothing of it runs, nothing is lost) or resumes it,
    /// and waits (3 s at most) until that is in force. Returns whether it is;
    /// the node keeps trying.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_suspended(
        self,
        scope: &TenantScope,
        suspended: bool,
    ) -> Result<bool, Failure> {
        let state = if suspended {
            TenantState::Suspended
        } else {
            TenantState::Active
        };
        let changed = self
            .0
            .store
            .set_state(scope, state, self.0.clock.now())
            .await
            .map_err(store_failure)?;
        Ok(self.0.in_force(scope, &changed).await)
    }

    /// Deletes a tenant with everything that belongs to it, and waits (3 s at
    /// most) until nothing carries its packets any more. Returns whether that is
    /// so; the node removes the rest in any case.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(self, scope: &TenantScope) -> Result<bool, Failure> {
        let inner = self.0;
        let deleted = inner
            .store
            .delete_tenant(scope, inner.clock.now())
            .await
            .map_err(store_failure)?;
        // Committed: from here on the deletion never fails.
        let is_cut_off = inner.is_cut_off(&deleted).await;
        if !is_cut_off {
            tracing::warn!(tenant = %scope.name(), "deleted, but the node has not cut the tenant off yet");
        }
        inner.notifier.changed(scope.tenant());
        Ok(is_cut_off)
    }
}
