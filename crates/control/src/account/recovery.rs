//! Recovery codes, and the password that is lost.

use super::Account;
use crate::{
    auth::{
        FactorScope, RecoveryCodes, Refusal, SignInClient, TriedAccount, new_codes, proof,
        recovery_hash,
    },
    failures::store_failure,
};
use domain::{Failure, Secret, TenantName};
use std::net::IpAddr;
use store::{AccountRecord, PasswordChange, PasswordProof, StoreError, TicketHolder};

impl Account<'_> {
    /// Makes ten recovery codes in place of the former ones. They are shown this once.
    ///
    /// # Errors
    /// `PresenceNeeded`, `TooManyTries`.
    pub async fn new_recovery_codes(self, scope: &FactorScope) -> Result<RecoveryCodes, Failure> {
        let account = self.present(scope).await?;
        self.count_change(&account)?;
        let (codes, hashes) = new_codes(&self.0.entropy)?;
        let entry = self.entry(&account, "recovery.replace", None);
        let store = &self.0.store;
        let replaced = store.replace_recovery_codes(account.holder, &hashes, entry);
        replaced.await.map_err(|e| match e {
            StoreError::NotFound => Failure::signed_out(),
            e => store_failure(e),
        })?;
        Ok(codes)
    }

    /// Replaces a password that is lost, for a recovery code, which is used up. What was begun
    /// with the former password ends. A sign-in still asks for the second factor, if there is
    /// one; another recovery code stands for it.
    ///
    /// # Errors
    /// `CodeInvalid` at the code, the same for an unknown name; `PasswordWeak` at the new
    /// password, `TooManyTries`, `Busy`.
    pub async fn recover(
        self,
        is_operator: bool,
        name: &str,
        code: &str,
        new: &Secret,
        from: IpAddr,
    ) -> Result<(), Failure> {
        let client = SignInClient::from(from);
        let account = self.by_name(is_operator, name).await?;
        let (kind, logged) = match is_operator {
            true => ("operator", "operator:?"),
            false => ("tenant", "?"),
        };
        let logged = account
            .as_ref()
            .map_or_else(|| logged.to_owned(), crate::auth::logged);
        let tried = TriedAccount::of(account.as_ref().map(|a| a.holder), kind, name);
        let typed: String = code
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .take(64)
            .collect();
        let hash = recovery_hash(&typed.to_ascii_lowercase());
        let check = async {
            let (Some(account), Some(hash)) = (account, hash) else {
                return Ok(None);
            };
            let is_one = self.0.store.is_recovery_code(account.holder, &hash).await;
            let is_one = is_one.map_err(store_failure)?;
            Ok(is_one.then_some((account, hash)))
        };
        let auth = self.auth();
        // A code is not guessed: 80 bits or more. So it counts by its address and not in the account's
        // allowance, which strangers may have used up.
        let checked = auth.attempt_code(&tried, Refusal::code(&logged), &client, check);
        let (account, hash) = checked.await?;
        let new_hash = self.checked_hash(new, &account.name).await?;
        let change = PasswordChange {
            holder: account.holder,
            old_hash: &account.password_hash,
            new_hash: &new_hash,
            new_proof: &proof(&new_hash),
            going_on: None,
            by: PasswordProof::RecoveryCode(&hash),
            without_factors: false,
            entry: self.entry(&account, "password.recover", Some(from)),
        };
        let changed = self.0.store.change_password(change).await;
        match changed.map_err(store_failure)? {
            true => {
                self.notify(&account);
                Ok(())
            }
            // The code was used at the same time.
            false => Err(crate::auth::code_wrong()),
        }
    }

    /// Finds an account by its name, as typed.
    async fn by_name(
        self,
        is_operator: bool,
        name: &str,
    ) -> Result<Option<AccountRecord>, Failure> {
        let store = &self.0.store;
        if is_operator {
            let found = store.operator_by_name(name.trim()).await;
            let found = found.map_err(store_failure)?;
            return Ok(found.map(|o| AccountRecord {
                holder: TicketHolder::Operator(o.id),
                name: o.name,
                password_hash: o.password_hash,
            }));
        }
        let Ok(name) = TenantName::parse(name) else {
            return Ok(None);
        };
        let found = store.tenant_by_name(&name).await.map_err(store_failure)?;
        Ok(found.map(|t| AccountRecord {
            holder: TicketHolder::Tenant(t.id),
            name: t.name.to_string(),
            password_hash: t.password_hash,
        }))
    }
}
