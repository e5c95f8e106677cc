//! The second step of a sign-in: a code of an authenticator app, or a recovery code.
//!
//! A sign-in that waits is a row, found by the hash of a random token. The token alone is
//! no sign-in: it belongs to the browser that gave the password, lasts five minutes, allows five
//! codes, ends when the password is changed, and is used up by the code that is right.

use super::{
    Auth,
    account_limits::TriedAccount,
    client::SignInClient,
    recovery_codes::recovery_hash,
    sessions::{Refusal, proof, refused},
    totp,
};
use crate::{
    failures::store_failure,
    inputs::{OperatorSession, PendingSignIn, SignInStep, SignInTicket},
};
use domain::{Access, ErrorCode, Failure, Message, Secret, TenantName};
use store::{
    AccountRecord, AuditEntry, FactorKind, NewPendingSignIn, PendingSignInRecord, StoreError,
    TicketHolder, TokenHash,
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
}

impl UsedCode {
    /// Returns what the audit log says of it.
    const fn detail(self) -> &'static str {
        match self {
            Self::Totp => "second factor",
            Self::Recovery => "recovery code",
        }
    }
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
        let mut client = client.into().checked();
        let done = self
            .finish_pending(pending, code, &client, Wanted::TenantPage)
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
        let client = client.into().checked();
        let done = self
            .finish_pending(pending, code, &client, Wanted::OperatorPage)
            .await?;
        let operator = self.0.store.operator_by_name(&done.account.name).await;
        let operator = operator.map_err(store_failure)?.ok_or_else(expired)?;
        self.finish_operator_sign_in(operator, client, done.detail)
            .await
    }

    /// Checks a code of a sign-in that waits, and uses the sign-in up if it is right.
    pub(super) async fn finish_pending(
        self,
        token: &Secret,
        code: &str,
        client: &SignInClient,
        wanted: Wanted,
    ) -> Result<FinishedPending, Failure> {
        let finished = self.check_pending(token, code, client, wanted).await;
        self.0.counters.sign_ins.count(finished)
    }

    async fn check_pending(
        self,
        token: &Secret,
        code: &str,
        client: &SignInClient,
        wanted: Wanted,
    ) -> Result<FinishedPending, Failure> {
        let inner = self.0;
        let (store, now) = (&inner.store, inner.clock.now());
        if token.expose().len() > MAX_TOKEN_BYTES {
            return Err(expired());
        }
        let hash = TokenHash::of(token);
        let found = store.pending_sign_in(&hash, now).await;
        let found = found.map_err(store_failure)?;
        let browser = client.browser.as_ref().map(TokenHash::of);
        let is_of_browser = |p: &PendingSignInRecord| {
            p.browser.is_empty() || browser.as_ref().is_some_and(|b| b.as_str() == p.browser)
        };
        let pending = found
            .filter(|p| wanted.fits(p) && is_of_browser(p))
            .ok_or_else(expired)?;
        let account = store.account(pending.holder).await;
        let account = account.map_err(store_failure)?;
        let account = account
            .filter(|a| proof(&a.password_hash) == pending.proof)
            .ok_or_else(expired)?;
        let logged = logged(&account);
        let tried = TriedAccount::of(Some(account.holder), "", "");
        let check = async {
            let counted = store.try_pending_sign_in(&hash, MAX_TRIES, now).await;
            if counted.map_err(store_failure)?.is_none() {
                return Err(expired());
            }
            self.use_code(&account, code, client).await
        };
        let used = self
            .attempt(&tried, Refusal::code(&logged), client, check)
            .await?;
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

/// Returns an account as the audit log names it.
pub(crate) fn logged(account: &AccountRecord) -> String {
    match account.holder {
        TicketHolder::Tenant(_) => account.name.clone(),
        TicketHolder::Operator(_) => format!("operator:{}", account.name),
    }
}

/// Returns a code without what people type between its groups.
fn plain(typed: &str) -> String {
    let inner = typed.chars().filter(|c| !c.is_whitespace() && *c != '-');
    inner.take(64).collect::<String>().to_ascii_lowercase()
}
