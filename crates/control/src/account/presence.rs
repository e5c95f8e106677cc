//! Proof that the holder of an account is present: the password, and the code of the second
//! factor if there is one, not longer than ten minutes ago in this session. A sign-in is one.

use super::Account;
use crate::{
    auth::{
        ApiPermission, FactorScope, MAX_BYTES, Presence, Refusal, SignInClient, TriedAccount,
        code_wrong, logged, presence_needed,
    },
    failures::store_failure,
};
use domain::{Access, Failure, Secret, Timestamp};
use std::net::IpAddr;
use store::{AccountRecord, KnownClients, SessionRef, StoreError};

impl Account<'_> {
    /// Checks that the holder is present, and notes it for ten minutes. A wrong password or
    /// code counts as one of a sign-in. Returns until when it holds.
    ///
    /// # Errors
    /// `SignInRefused` at the password; `CodeInvalid` at the code, also without one where the
    /// account has a second factor; `TooManyTries`, `Busy`.
    pub async fn prove_presence(
        self,
        scope: &FactorScope,
        password: &Secret,
        code: Option<&str>,
        from: IpAddr,
    ) -> Result<Timestamp, Failure> {
        let account = self.record(scope).await?;
        self.check_password(scope, &account, password, from).await?;
        if self.auth().has_second_factor(account.holder).await? {
            let code = code.map(str::trim).filter(|code| !code.is_empty());
            let code = code.ok_or_else(code_wrong)?;
            self.check_code(scope, &account, code, from).await?;
        }
        let entry = self.entry(&account, "presence.prove", Some(from));
        let at = entry.at;
        let store = &self.0.store;
        let noted = store.note_presence(account.holder, scope.session(), entry);
        noted.await.map_err(|e| match e {
            // The session has ended meanwhile.
            StoreError::NotFound => Failure::signed_out(),
            e => store_failure(e),
        })?;
        Ok(Presence::until(at))
    }

    /// Returns the proof that the holder is present.
    ///
    /// # Errors
    /// `PresenceNeeded`.
    pub async fn presence(self, scope: &FactorScope) -> Result<Presence, Failure> {
        self.presence_if_any(scope)
            .await?
            .ok_or_else(presence_needed)
    }

    /// Returns the proof that the holder is present, if there is one.
    ///
    /// # Errors
    /// `SignedOut`, `DatabaseUnavailable`.
    pub async fn presence_if_any(self, scope: &FactorScope) -> Result<Option<Presence>, Failure> {
        let account = self.record(scope).await?;
        let at = self.0.store.present_at(account.holder, scope.session());
        let at = at.await.map_err(store_failure)?;
        let holds = at.is_some_and(|at| Presence::until(at) > self.now());
        Ok(holds.then_some(Presence::proved()))
    }

    /// Returns the proof that a request of the API may see keys, if there is one: the holder is
    /// present in its session, or it comes from a program. That is an API token that writes, or
    /// an owner who acts for the tenant: neither could be asked for a password. An operator who
    /// may only support does not see a tenant's keys.
    ///
    /// # Errors
    /// `NotPermitted` for a token that may only read, `DatabaseUnavailable`.
    pub(crate) async fn presence_of_request(
        self,
        permission: &ApiPermission,
    ) -> Result<Option<Presence>, Failure> {
        permission.allow(Access::Write)?;
        match permission.is_session() {
            true => {
                let scope = permission.account(Access::Write)?;
                self.presence_if_any(&scope).await
            }
            false => Ok((!permission.is_supports()).then(Presence::proved)),
        }
    }

    /// Returns the proof that a request of the API may make API tokens: the holder is present. An
    /// operator who acts for a tenant, and the command line, are not asked.
    ///
    /// # Errors
    /// `PresenceNeeded`, `NotPermitted` for a token that may only read, `DatabaseUnavailable`.
    pub async fn presence_for_tokens(
        self,
        permission: &ApiPermission,
    ) -> Result<Presence, Failure> {
        permission.allow(Access::Write)?;
        match permission.is_own() {
            true => {
                let scope = permission.account(Access::Write)?;
                self.presence(&scope).await
            }
            false => Ok(Presence::proved()),
        }
    }

    /// Returns the account of a permission whose holder is present.
    pub(crate) async fn present(self, scope: &FactorScope) -> Result<AccountRecord, Failure> {
        self.presence(scope).await?;
        self.record(scope).await
    }

    /// Counts a try of a client that is signed in: strangers do not hold it up.
    pub(super) async fn attempt<T>(
        self,
        scope: &FactorScope,
        account: &AccountRecord,
        refusal: Refusal<'_>,
        from: IpAddr,
        check: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Result<T, Failure> {
        let session = match scope.session() {
            SessionRef::Browser(key) => key.as_str(),
            SessionRef::Api(id) => id,
        };
        let client = SignInClient {
            browser: Some(Secret::new(session)),
            ..from.into()
        };
        let known = KnownClients {
            browser: true,
            network: true,
        };
        let tried = TriedAccount::of(Some(account.holder), "", "");
        self.auth()
            .attempt_of(known, &tried, refusal, &client, check)
            .await
    }

    /// Checks the password of the account.
    pub(super) async fn check_password(
        self,
        scope: &FactorScope,
        account: &AccountRecord,
        password: &Secret,
        from: IpAddr,
    ) -> Result<(), Failure> {
        let check = async {
            if password.expose().len() > MAX_BYTES {
                return Ok(None);
            }
            let hash = Some(account.password_hash.clone());
            let is_right = self.0.hasher.verify(password, hash).await?;
            Ok(is_right.then_some(()))
        };
        let logged = logged(account);
        let refusal = Refusal::password(&logged);
        self.attempt(scope, account, refusal, from, check).await
    }

    /// Checks a code of a second factor or a recovery code, and uses it up.
    async fn check_code(
        self,
        scope: &FactorScope,
        account: &AccountRecord,
        code: &str,
        from: IpAddr,
    ) -> Result<(), Failure> {
        let client = SignInClient::from(from);
        let check = self.auth().use_code(account, code, &client);
        let logged = logged(account);
        let refusal = Refusal::code(&logged);
        let used = self.attempt(scope, account, refusal, from, check).await;
        used.map(drop)
    }
}
