//! Another password, for the former one.

use super::Account;
use crate::{
    auth::{AccountScope, check_length, proof},
    failures::store_failure,
};
use domain::{Failure, Field, Secret};
use std::net::IpAddr;
use store::{AccountRecord, PasswordChange, PasswordProof};

impl Account<'_> {
    /// Replaces the password. All other sessions, API tokens and links of the account end; this
    /// session goes on.
    ///
    /// # Errors
    /// `SignInRefused` at the password for a wrong former one, `PasswordWeak` at the new one,
    /// `TooManyTries`, `Busy`.
    pub async fn change_password(
        self,
        scope: &AccountScope,
        old: &Secret,
        new: &Secret,
        from: IpAddr,
    ) -> Result<(), Failure> {
        let account = self.record(scope).await?;
        check_length(new).map_err(at_new)?;
        self.check_password(scope, &account, old, from).await?;
        let new_hash = self.checked_hash(new, &account.name).await?;
        let change = PasswordChange {
            holder: account.holder,
            old_hash: &account.password_hash,
            new_hash: &new_hash,
            new_proof: &proof(&new_hash),
            going_on: Some(scope.session()),
            by: PasswordProof::Password,
            without_factors: false,
            entry: self.entry(&account, "password.change", Some(from)),
        };
        let changed = self.0.store.change_password(change).await;
        match changed.map_err(store_failure)? {
            true => {
                self.notify(&account);
                Ok(())
            }
            // Another password was set at the same time, which ended this session.
            false => Err(Failure::signed_out()),
        }
    }

    /// Returns the hash of a new password that is strong enough.
    pub(super) async fn checked_hash(self, new: &Secret, name: &str) -> Result<Secret, Failure> {
        check_length(new).map_err(at_new)?;
        let hasher = &self.0.hasher;
        hasher.check_strength(new, name).await.map_err(at_new)?;
        hasher.hash(new).await
    }

    /// Wakes the open streams of a tenant, whose session may be over.
    pub(super) fn notify(self, account: &AccountRecord) {
        if let store::TicketHolder::Tenant(id) = account.holder {
            self.0.notifier.changed(id);
        }
    }
}

/// Puts a failure of a new password at its field.
pub(super) fn at_new(failure: Failure) -> Failure {
    Failure {
        field: failure.field.map(|_| Field::NewPassword),
        ..failure
    }
}
