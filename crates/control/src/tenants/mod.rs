//! Accounts: names, sign-up, the dashboard, suspension and deletion.

mod audit;
mod dashboard;
mod sign_up;
mod terms;

pub use terms::{TenantTerms, TermsChange};

use crate::{failures::store_failure, inner::Inner};
use domain::{
    ErrorCode, Failure, Field, Message, OwnerScope, TenantHolderScope, TenantName, TenantScope,
};
use std::net::IpAddr;

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
        let store = &self.0.store;
        let (is_reserved, is_taken) =
            tokio::try_join!(store.is_reserved(name.as_str()), store.name_taken(&name))
                .map_err(store_failure)?;
        if is_reserved {
            let name = name.to_string();
            let message = Message::NameReserved { name };
            return Err(Failure::at(Field::Name, ErrorCode::NameReserved, message));
        }
        if is_taken {
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

    /// Does what [`Tenants::check_name`] does for a visitor, whose questions are counted: the
    /// answer says which tenants there are.
    ///
    /// # Errors
    /// Those of [`Tenants::check_name`]; `TooManyTries` after 60 in a minute from one address.
    pub async fn answer_name_check(self, typed: &str, from: IpAddr) -> Result<TenantName, Failure> {
        let now = self.0.clock.now();
        self.0.limits.count_name_check(from, now)?;
        self.check_name(typed).await
    }

    /// Returns whether a tenant has that name, so that its hosts are served.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn is_name_taken(self, name: &TenantName) -> Result<bool, Failure> {
        self.0.store.name_taken(name).await.map_err(store_failure)
    }

    /// Deletes a tenant as [`Tenants::delete`] does, for an owner.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn operator_delete(
        self,
        _owner: &OwnerScope,
        scope: &TenantScope,
    ) -> Result<bool, Failure> {
        self.delete_now(scope).await
    }

    /// Deletes the own account with everything that belongs to it, and waits (3 s at
    /// most) until nothing carries its packets any more. Returns whether that is
    /// so; the node removes the rest in any case.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(self, scope: &TenantHolderScope) -> Result<bool, Failure> {
        self.delete_now(scope).await
    }

    async fn delete_now(self, scope: &TenantScope) -> Result<bool, Failure> {
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
