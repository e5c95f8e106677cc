//! The second step of a sign-in: a code of an authenticator app, a passkey, or a recovery code.
//!
//! A sign-in that waits is a row, found by the hash of a random token. The token alone is
//! no sign-in: it belongs to the browser that gave the password, lasts five minutes, allows five
//! codes, ends when the password is changed, and is used up by the code that is right.

use super::{
    Auth,
    account_limits::TriedAccount,
    client::SignInClient,
    logged_name::logged,
    passkeys::{ChallengeRequest, stored},
    recovery_codes::recovery_hash,
    sessions::{Refusal, proof, refused},
    totp,
};
use crate::{
    failures::store_failure,
    inputs::{OperatorSession, PendingSignIn, SignInStep, SignInTicket, WaitingSignIn},
};
use domain::{Access, ErrorCode, Failure, Message, Secret, TenantName};
use store::{
    AccountRecord, AuditEntry, ChallengePurpose, FactorKind, NewPendingSignIn, PendingSignInRecord,
    StoreError, TicketHolder, TokenHash,
};

/// How long a sign-in waits for its second factor.
const PENDING_MILLIS: i64 = 300_000;
/// How many codes may be tried in a sign-in.
const MAX_TRIES: u32 = 5;
/// The longest token that is looked up, in bytes.
const MAX_TOKEN_BYTES: usize = 64;

/// By what a second step was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsedCode {
    Totp,
    Recovery,
    Passkey,
}

impl UsedCode {
    /// Returns what the audit log says of it.
    const fn detail(self) -> &'static str {
        match self {
            Self::Totp => "second factor",
            Self::Recovery => "recovery code",
            Self::Passkey => "second factor: passkey",
        }
    }
}

/// What is given for a second step.
#[derive(Clone, Copy, Debug)]
pub(super) enum GivenStep<'a> {
    /// A code of an authenticator app, or a recovery code.
    Code(&'a str),
    /// A browser's answer to a passkey's challenge, in JSON.
    Passkey(&'a str),
}

/// Returns the failure of a sign-in that waits no longer.
fn expired() -> Failure {
    Failure::new(ErrorCode::SignInExpired, Message::SignInExpired)
}

/// What a sign-in is for that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    TenantPage,
    OperatorPage,
    Api,
}

impl Wanted {
    fn fits(self, pending: &PendingSignInRecord) -> bool {
        let is_tenant = matches!(pending.holder, TicketHolder::Tenant(_));
        match self {
            Self::TenantPage => is_tenant && pending.access.is_none(),
            Self::OperatorPage => !is_tenant && pending.access.is_none(),
            Self::Api => pending.access.is_some(),
        }
    }
}

/// A sign-in whose second step is done.
pub(super) struct FinishedPending {
    pub account: AccountRecord,
    pub stays: bool,
    pub access: Option<Access>,
    pub detail: &'static str,
}

impl Auth<'_> {
    /// Returns whether a sign-in of the account has a second step.
    pub(crate) async fn has_second_factor(self, holder: TicketHolder) -> Result<bool, Failure> {
        let factors = self.0.store.factors(holder).await.map_err(store_failure)?;
        Ok(factors.iter().any(|f| f.confirmed_at.is_some()))
    }

    /// Begins a sign-in that waits for its second step, after the password was right.
    pub(super) async fn begin_pending(
        self,
        holder: TicketHolder,
        logged: &str,
        proof: &str,
        client: &SignInClient,
        access: Option<Access>,
    ) -> Result<PendingSignIn, Failure> {
        let inner = self.0;
        let (token, now) = (inner.entropy.token()?, inner.clock.now());
        // A client of the API has no cookies.
        let cookie = self.browser_cookie(client)?;
        let browser = match access {
            None => TokenHash::of(&cookie).as_str().to_owned(),
            Some(_) => String::new(),
        };
        let tenant = match holder {
            TicketHolder::Tenant(id) => Some(id),
            TicketHolder::Operator(_) => None,
        };
        let mut entry = self.session_entry(logged, client.address, tenant);
        "session.password".clone_into(&mut entry.action);
        let expires_at = now.plus_millis(PENDING_MILLIS);
        let hash = TokenHash::of(&token);
        let created = inner.store.create_pending_sign_in(NewPendingSignIn {
            token: &hash,
            holder,
            proof,
            browser: &browser,
            stays: client.stays,
            access,
            now,
            expires: expires_at,
            entry,
        });
        match created.await {
            Ok(()) => {}
            // The account was deleted after its password was checked.
            Err(StoreError::NotFound) => return Err(refused()),
            Err(e) => return Err(store_failure(e)),
        }
        Ok(PendingSignIn {
            token,
            browser: cookie,
            expires_at,
        })
    }

    /// Ends a tenant's sign-in with the code of its second factor.
    ///
    /// # Errors
    /// `CodeInvalid` at the code, `SignInExpired` if the sign-in is to be begun again,
    /// `TooManyTries`.
    pub async fn second_factor(
        self,
        pending: &Secret,
        code: &str,
        client: impl Into<SignInClient>,
    ) -> Result<SignInTicket, Failure> {
        let given = GivenStep::Code(code);
        self.tenant_step(pending, given, client.into().checked())
            .await
    }

    /// Ends a tenant's sign-in with a passkey as its second factor.
    ///
    /// # Errors
    /// `PasskeyInvalid`, and as [`Auth::second_factor`].
    pub async fn passkey_second_factor(
        self,
        pending: &Secret,
        answer: &str,
        client: impl Into<SignInClient>,
    ) -> Result<SignInTicket, Failure> {
        let given = GivenStep::Passkey(answer);
        self.tenant_step(pending, given, client.into().checked())
            .await
    }

    async fn tenant_step(
        self,
        pending: &Secret,
        given: GivenStep<'_>,
        mut client: SignInClient,
    ) -> Result<SignInTicket, Failure> {
        let done = self
            .finish_pending(pending, given, &client, Wanted::TenantPage)
            .await?;
        client.stays = done.stays;
        let name = TenantName::parse(&done.account.name).map_err(|_| expired())?;
        let tenant = self.0.store.tenant_by_name(&name).await;
        let tenant = tenant.map_err(store_failure)?;
        let is_same = |t: &store::TenantRecord| TicketHolder::Tenant(t.id) == done.account.holder;
        let tenant = tenant.filter(is_same).ok_or_else(expired)?;
        match self.finish_sign_in(&tenant, client, done.detail).await? {
            SignInStep::Done(ticket) => Ok(ticket),
            SignInStep::SecondFactor(_) => Err(expired()),
        }
    }

    /// Ends an operator's sign-in with the code of its second factor.
    ///
    /// # Errors
    /// As [`Auth::second_factor`].
    pub async fn operator_second_factor(
        self,
        pending: &Secret,
        code: &str,
        client: impl Into<SignInClient>,
    ) -> Result<OperatorSession, Failure> {
        let given = GivenStep::Code(code);
        self.operator_step(pending, given, client.into().checked())
            .await
    }

    /// Ends an operator's sign-in with a passkey as its second factor.
    ///
    /// # Errors
    /// As [`Auth::passkey_second_factor`].
    pub async fn operator_passkey_second_factor(
        self,
        pending: &Secret,
        answer: &str,
        client: impl Into<SignInClient>,
    ) -> Result<OperatorSession, Failure> {
        let given = GivenStep::Passkey(answer);
        self.operator_step(pending, given, client.into().checked())
            .await
    }

    async fn operator_step(
        self,
        pending: &Secret,
        given: GivenStep<'_>,
        client: SignInClient,
    ) -> Result<OperatorSession, Failure> {
        let done = self
            .finish_pending(pending, given, &client, Wanted::OperatorPage)
            .await?;
        let operator = self.0.store.operator_by_name(&done.account.name).await;
        let operator = operator.map_err(store_failure)?.ok_or_else(expired)?;
        self.finish_operator_sign_in(operator, client, done.detail)
            .await
    }

    /// Checks what is given for a sign-in that waits, and uses the sign-in up if it is right.
    pub(super) async fn finish_pending(
        self,
        token: &Secret,
        given: GivenStep<'_>,
        client: &SignInClient,
        wanted: Wanted,
    ) -> Result<FinishedPending, Failure> {
        let finished = self.check_pending(token, given, client, wanted).await;
        self.0.counters.sign_ins.count(finished)
    }

    /// Finds a sign-in that waits, of that browser, and its account.
    async fn waiting(
        self,
        hash: &TokenHash,
        client: &SignInClient,
        fits: impl Fn(&PendingSignInRecord) -> bool,
    ) -> Result<(PendingSignInRecord, AccountRecord), Failure> {
        let (store, now) = (&self.0.store, self.0.clock.now());
        let found = store.pending_sign_in(hash, now).await;
        let found = found.map_err(store_failure)?;
        let browser = client.browser.as_ref().map(TokenHash::of);
        let is_of_browser = |p: &PendingSignInRecord| {
            p.browser.is_empty() || browser.as_ref().is_some_and(|b| b.as_str() == p.browser)
        };
        let pending = found
            .filter(|p| fits(p) && is_of_browser(p))
            .ok_or_else(expired)?;
        let account = store.account(pending.holder).await;
        let account = account.map_err(store_failure)?;
        let account = account
            .filter(|a| proof(&a.password_hash) == pending.proof)
            .ok_or_else(expired)?;
        Ok((pending, account))
    }

    /// Returns by what a sign-in that waits can go on.
    ///
    /// # Errors
    /// `SignInExpired`, `DatabaseUnavailable`.
    pub async fn waiting_for(
        self,
        pending: &Secret,
        client: impl Into<SignInClient>,
    ) -> Result<WaitingSignIn, Failure> {
        let (hash, client) = (token_hash(pending)?, client.into().checked());
        let is_page = |p: &PendingSignInRecord| p.access.is_none();
        let (_, account) = self.waiting(&hash, &client, is_page).await?;
        let factors = self.0.store.factors(account.holder).await;
        let factors = factors.map_err(store_failure)?;
        let has = |kind| {
            let mut held = factors.iter().filter(|f| f.confirmed_at.is_some());
            held.any(|f| f.kind == kind)
        };
        Ok(WaitingSignIn {
            has_totp: has(FactorKind::Totp),
            has_passkey: has(FactorKind::Passkey),
            name: account.name,
        })
    }

    /// Returns what a browser is asked for a passkey as the second step of a sign-in that waits
    /// (`PublicKeyCredentialRequestOptions` in JSON).
    ///
    /// # Errors
    /// `SignInExpired`, `NotFound` without a passkey.
    pub async fn second_step_challenge(
        self,
        pending: &Secret,
        client: impl Into<SignInClient>,
    ) -> Result<String, Failure> {
        let (hash, client) = (token_hash(pending)?, client.into().checked());
        let is_page = |p: &PendingSignInRecord| p.access.is_none();
        let (_, account) = self.waiting(&hash, &client, is_page).await?;
        let factors = self.0.store.factors(account.holder).await;
        let factors = factors.map_err(store_failure)?;
        let stored = stored(&factors).into_iter();
        let passkeys: Vec<_> = stored.map(|(_, passkey)| passkey).collect();
        if passkeys.is_empty() {
            return Err(Failure::not_found());
        }
        let party = self.relying_party(&account);
        let asked = ChallengeRequest {
            purpose: ChallengePurpose::SecondStep,
            holder: Some(account.holder),
            party: &party,
            binding: hash.as_str(),
        };
        self.request_options(asked, &passkeys, false).await
    }

    async fn check_pending(
        self,
        token: &Secret,
        given: GivenStep<'_>,
        client: &SignInClient,
        wanted: Wanted,
    ) -> Result<FinishedPending, Failure> {
        let inner = self.0;
        let (store, now) = (&inner.store, inner.clock.now());
        let hash = token_hash(token)?;
        let fits = |p: &PendingSignInRecord| wanted.fits(p);
        let (pending, account) = self.waiting(&hash, client, fits).await?;
        let count = async {
            let counted = store.try_pending_sign_in(&hash, MAX_TRIES, now).await;
            counted.map_err(store_failure)?.ok_or_else(expired)
        };
        let used = match given {
            GivenStep::Code(code) => {
                let logged = logged(&account);
                let tried = TriedAccount::of(Some(account.holder), "", "");
                let check = async {
                    count.await?;
                    self.use_code(&account, code, client).await
                };
                self.attempt(&tried, Refusal::code(&logged), client, check)
                    .await?
            }
            GivenStep::Passkey(answer) => {
                count.await?;
                let signed = self.second_step_passkey(&account, answer, &hash, client);
                signed.await.map(|_| UsedCode::Passkey)?
            }
        };
        // Of two right codes at once one signs in.
        let ended = store.end_pending_sign_in(&hash).await;
        if !ended.map_err(store_failure)? {
            return Err(expired());
        }
        Ok(FinishedPending {
            stays: pending.stays,
            access: pending.access,
            detail: used.detail(),
            account,
        })
    }

    /// Uses up a code of the account: one of an authenticator app, or a recovery code. Returns
    /// `None` for any other.
    pub(crate) async fn use_code(
        self,
        account: &AccountRecord,
        typed: &str,
        client: &SignInClient,
    ) -> Result<Option<UsedCode>, Failure> {
        let (store, now) = (&self.0.store, self.0.clock.now());
        let code = plain(typed);
        if let Some(hash) = recovery_hash(&code) {
            let entry = self.account_entry(account, "recovery.use", client);
            let used = store.use_recovery_code(account.holder, &hash, entry).await;
            let used = used.map_err(store_failure)?;
            return Ok(used.then_some(UsedCode::Recovery));
        }
        let factors = store.factors(account.holder).await.map_err(store_failure)?;
        let held = factors
            .iter()
            .filter(|f| f.kind == FactorKind::Totp && f.confirmed_at.is_some());
        for factor in held {
            let Some(step) = totp::step_of(&factor.secret, &code, now)? else {
                continue;
            };
            let accepted = store.accept_step(&factor.id, step, now).await;
            return Ok(accepted.map_err(store_failure)?.then_some(UsedCode::Totp));
        }
        Ok(None)
    }

    /// Returns an audit entry of an account's own act.
    pub(crate) fn account_entry(
        self,
        account: &AccountRecord,
        action: &str,
        client: &SignInClient,
    ) -> AuditEntry {
        let tenant = match account.holder {
            TicketHolder::Tenant(id) => Some(id),
            TicketHolder::Operator(_) => None,
        };
        let mut entry = self.session_entry(&logged(account), client.address, tenant);
        action.clone_into(&mut entry.action);
        entry
    }
}

/// Returns the hash by which a sign-in that waits is found.
fn token_hash(token: &Secret) -> Result<TokenHash, Failure> {
    match token.expose().len() > MAX_TOKEN_BYTES {
        true => Err(expired()),
        false => Ok(TokenHash::of(token)),
    }
}

/// Returns a code without what people type between its groups.
fn plain(typed: &str) -> String {
    let inner = typed.chars().filter(|c| !c.is_whitespace() && *c != '-');
    inner.take(64).collect::<String>().to_ascii_lowercase()
}
