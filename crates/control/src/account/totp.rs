//! An authenticator app as the second factor.

use super::Account;
use crate::{
    auth::{
        AccountScope, FactorScope, Refusal, SECRET_BYTES, TotpEnrolment, enrolment, logged, step_of,
    },
    failures::store_failure,
};
use domain::{ErrorCode, Failure, Message};
use std::net::IpAddr;
use store::{AccountRecord, FactorKind, FactorRecord, NewFactor};
use zeroize::Zeroizing;

/// How long a secret is shown again that is not confirmed.
const ENROLMENT_MILLIS: i64 = 3_600_000;

fn exists() -> Failure {
    Failure::new(ErrorCode::FactorExists, Message::TotpExists)
}

impl Account<'_> {
    /// Returns a secret for an authenticator app: the one that was begun with in the last hour
    /// and is not confirmed, or a new one. It holds once it is confirmed.
    ///
    /// # Errors
    /// `PresenceNeeded`, `FactorExists`, `TooManyTries`.
    pub async fn begin_totp(self, scope: &FactorScope) -> Result<TotpEnrolment, Failure> {
        let account = self.present(scope).await?;
        let name = logged(&account);
        if let Some(begun) = self.totp(&account).await? {
            if begun.confirmed_at.is_some() {
                return Err(exists());
            }
            let until = begun.created_at.plus_millis(ENROLMENT_MILLIS);
            if until > self.now() {
                return Ok(enrolment(&begun.secret, &name));
            }
        }
        self.count_change(&account)?;
        let inner = self.0;
        let secret = Zeroizing::new(inner.entropy.bytes::<SECRET_BYTES>()?);
        let new = NewFactor {
            id: &inner.entropy.process_name()?,
            kind: FactorKind::Totp,
            holder: account.holder,
            name: "",
            now: self.now(),
        };
        let begun = inner.store.begin_factor(new, secret.as_slice());
        begun.await.map_err(store_failure)?;
        Ok(enrolment(secret.as_slice(), &name))
    }

    /// Switches the second factor on, with a code of the secret that was begun with.
    ///
    /// # Errors
    /// `CodeInvalid` at the code, `NotFound` if none was begun with, `FactorExists`,
    /// `PresenceNeeded`, `TooManyTries`.
    pub async fn confirm_totp(
        self,
        scope: &FactorScope,
        code: &str,
        from: IpAddr,
    ) -> Result<(), Failure> {
        let account = self.present(scope).await?;
        let begun = self
            .totp(&account)
            .await?
            .ok_or_else(|| Failure::new(ErrorCode::NotFound, Message::TotpNotBegun))?;
        if begun.confirmed_at.is_some() {
            return Err(exists());
        }
        let plain: String = code.chars().filter(char::is_ascii_digit).take(16).collect();
        let check = async { step_of(&begun.secret, &plain, self.now()) };
        let name = logged(&account);
        let refusal = Refusal::code(&name);
        let step = self.attempt(scope, &account, refusal, from, check).await?;
        let entry = self.entry(&account, "factor.add", Some(from));
        let store = &self.0.store;
        let confirmed = store.confirm_factor(account.holder, &begun.id, step, entry);
        match confirmed.await.map_err(store_failure)? {
            true => Ok(()),
            false => Err(exists()),
        }
    }

    /// Switches the second factor off.
    ///
    /// # Errors
    /// `PresenceNeeded`, `NotFound` if there is none, `TooManyTries`.
    pub async fn remove_totp(self, scope: &AccountScope) -> Result<(), Failure> {
        let account = self.present(scope).await?;
        self.count_change(&account)?;
        let entry = self.entry(&account, "factor.remove", None);
        let store = &self.0.store;
        let removed = store.remove_factors(account.holder, FactorKind::Totp, entry);
        removed.await.map_err(store_failure)
    }

    /// Returns the account's authenticator app, one that holds before one that does not.
    async fn totp(self, account: &AccountRecord) -> Result<Option<FactorRecord>, Failure> {
        let factors = self.0.store.factors(account.holder).await;
        let factors = factors.map_err(store_failure)?.into_iter();
        let totp = factors.filter(|f| f.kind == FactorKind::Totp);
        Ok(totp.max_by_key(|f| (f.confirmed_at.is_some(), f.created_at)))
    }
}
