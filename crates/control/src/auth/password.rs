//! Sign-in with a name and a password: how many attempts are allowed, which of
//! them count, and what the audit log says of them. Where the account has a second
//! factor, a right password is no sign-in: it begins a sign-in that waits.

use super::{
    Auth,
    account_limits::TriedAccount,
    client::SignInClient,
    limiter::address_key,
    password_strength::MAX_BYTES,
    sessions::{Refusal, proof, refused},
};
use crate::{
    failures::store_failure,
    inputs::{OperatorSession, OperatorStep, SignInStep},
};
use domain::{ErrorCode, Failure, OperatorAdmission, Secret, TenantName};
use std::net::IpAddr;
use store::{KnownClients, OperatorRecord, TenantRecord, TicketHolder};

/// Longest name of an operator, in bytes.
const MAX_OPERATOR_NAME: usize = 64;

impl Auth<'_> {
    /// Checks a tenant's name and password. Allows 5 failures a minute for an
    /// address, and for an account those that its limits allow
    /// (`auth/account_limits.rs`).
    ///
    /// # Errors
    /// `SignInRefused` (the same for an unknown name and a wrong password),
    /// `TooManyTries`, `Busy`.
    pub async fn sign_in(
        self,
        name: &str,
        password: &Secret,
        client: impl Into<SignInClient>,
    ) -> Result<SignInStep, Failure> {
        let client = client.into().checked();
        let tenant = self.checked_tenant(name, password, &client).await?;
        let holder = TicketHolder::Tenant(tenant.id);
        if self.has_second_factor(holder).await? {
            let proof = proof(&tenant.password_hash);
            let logged = tenant.name.as_str();
            let pending = self
                .begin_pending(holder, logged, &proof, &client, None)
                .await?;
            return Ok(SignInStep::SecondFactor(pending));
        }
        self.finish_sign_in(&tenant, client, "").await
    }

    /// Signs a tenant in that was checked. `detail` says by which second factor.
    pub(super) async fn finish_sign_in(
        self,
        tenant: &TenantRecord,
        client: SignInClient,
        detail: &str,
    ) -> Result<SignInStep, Failure> {
        let logged = tenant.name.as_str();
        let mut entry = self.session_entry(logged, client.address, Some(tenant.id));
        detail.clone_into(&mut entry.detail);
        let holder = TicketHolder::Tenant(tenant.id);
        let browser = self.remember(holder, &client).await?;
        match self
            .ticket_of(tenant, client.stays, browser, Some(entry))
            .await
        {
            // The tenant was deleted after its password was checked.
            Err(f) if f.code == ErrorCode::NotFound => Err(refused()),
            ticket => ticket.map(SignInStep::Done),
        }
    }

    /// Checks a tenant's name and password, as [`Auth::sign_in`] does.
    pub(super) async fn checked_tenant(
        self,
        name: &str,
        password: &Secret,
        client: &SignInClient,
    ) -> Result<TenantRecord, Failure> {
        let checked = self.check_tenant(name, password, client).await;
        self.0.counters.sign_ins.count(checked)
    }

    async fn check_tenant(
        self,
        name: &str,
        password: &Secret,
        client: &SignInClient,
    ) -> Result<TenantRecord, Failure> {
        let inner = self.0;
        // An impossible name is checked like any other, so that the answer
        // reveals nothing.
        let parsed = TenantName::parse(name).ok();
        let logged = parsed.as_ref().map_or("?", TenantName::as_str).to_owned();
        let tenant = match &parsed {
            Some(name) => inner.store.tenant_by_name(name).await,
            None => Ok(None),
        }
        .map_err(store_failure)?;
        let holder = tenant.as_ref().map(|t| TicketHolder::Tenant(t.id));
        let hash = tenant.as_ref().map(|t| t.password_hash.clone());
        let account = TriedAccount::of(holder, "tenant", &logged);
        let check = async {
            if password.expose().len() > MAX_BYTES {
                return Ok(None);
            }
            let is_right = inner.hasher.verify(password, hash).await?;
            Ok(tenant.filter(|_| is_right))
        };
        let refusal = Refusal::password(&logged);
        self.attempt(&account, refusal, client, check).await
    }

    /// Checks an operator's name and password, with the same limits as for
    /// tenants.
    ///
    /// # Errors
    /// `SignInRefused`, `TooManyTries`, `Busy`.
    pub async fn operator_sign_in(
        self,
        name: &str,
        password: &Secret,
        client: impl Into<SignInClient>,
    ) -> Result<OperatorStep, Failure> {
        let client = client.into().checked();
        let operator = self.checked_operator(name, password, &client).await?;
        let holder = TicketHolder::Operator(operator.id);
        if self.has_second_factor(holder).await? {
            let proof = proof(&operator.password_hash);
            let logged = format!("operator:{}", operator.name);
            let pending = self
                .begin_pending(holder, &logged, &proof, &client, None)
                .await?;
            return Ok(OperatorStep::SecondFactor(pending));
        }
        let session = self.finish_operator_sign_in(operator, client, "").await?;
        Ok(OperatorStep::Done(session))
    }

    /// Signs an operator in that was checked. `detail` says by which second factor.
    pub(super) async fn finish_operator_sign_in(
        self,
        operator: OperatorRecord,
        client: SignInClient,
        detail: &str,
    ) -> Result<OperatorSession, Failure> {
        let holder = TicketHolder::Operator(operator.id);
        let browser = self.remember(holder, &client).await?;
        let session = self.operator_details(&operator, &client);
        let admission = OperatorAdmission::issue(operator.role, operator.name, operator.has_factor);
        let mut entry = self.session_entry(&admission.actor(), client.address, None);
        detail.clone_into(&mut entry.detail);
        self.0.store.audit(entry).await.map_err(store_failure)?;
        Ok(OperatorSession {
            admission,
            session,
            browser,
        })
    }

    /// Checks an operator's name and password, as [`Auth::operator_sign_in`] does.
    pub(super) async fn checked_operator(
        self,
        name: &str,
        password: &Secret,
        client: &SignInClient,
    ) -> Result<OperatorRecord, Failure> {
        let checked = self.check_operator(name, password, client).await;
        self.0.counters.sign_ins.count(checked)
    }

    async fn check_operator(
        self,
        name: &str,
        password: &Secret,
        client: &SignInClient,
    ) -> Result<OperatorRecord, Failure> {
        let inner = self.0;
        if name.len() > MAX_OPERATOR_NAME || password.expose().len() > MAX_BYTES {
            return Err(refused());
        }
        // What was typed into the wrong field, perhaps a password, is not logged.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let logged = if name.chars().all(is_plain) {
            name
        } else {
            "?"
        };
        let logged = format!("operator:{logged}");
        let operator = inner.store.operator_by_name(name).await;
        let operator = operator.map_err(store_failure)?;
        let holder = operator.as_ref().map(|o| TicketHolder::Operator(o.id));
        let hash = operator.as_ref().map(|o| o.password_hash.clone());
        let account = TriedAccount::of(holder, "operator", name);
        let check = async {
            let is_right = inner.hasher.verify(password, hash).await?;
            Ok(operator.filter(|_| is_right))
        };
        let refusal = Refusal::password(&logged);
        self.attempt(&account, refusal, client, check).await
    }

    /// Counts a try at an account, then lets `check` decide on it. Only a wrong password
    /// or code stays counted: a busy server or a database that is away is not the
    /// client's fault.
    pub(crate) async fn attempt<T>(
        self,
        account: &TriedAccount,
        refusal: Refusal<'_>,
        client: &SignInClient,
        check: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Result<T, Failure> {
        let known = match account.holder {
            Some(holder) => self.known(holder, client).await?,
            None => KnownClients::default(),
        };
        self.attempt_of(known, account, refusal, client, check)
            .await
    }

    /// Does what [`Auth::attempt`] does, for a client of which it is known what of it has signed
    /// in before.
    pub(crate) async fn attempt_of<T>(
        self,
        known: KnownClients,
        account: &TriedAccount,
        refusal: Refusal<'_>,
        client: &SignInClient,
        check: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Result<T, Failure> {
        let inner = self.0;
        let (limits, now) = (&inner.limits, inner.clock.now());
        let counted = limits
            .accounts
            .begin(&limits.sign_ins, account, client, known, now);
        let mut counted = counted.await?;
        match check.await {
            Ok(None) => {
                let exhausted = std::mem::take(&mut counted.exhausted);
                self.log_refusal(&refusal, account.holder, client).await;
                self.log_lock_out(refusal.account, exhausted, client.address)
                    .await;
                Err(refusal.failure)
            }
            Ok(Some(found)) => {
                counted.refund().await;
                Ok(found)
            }
            Err(f) => {
                counted.refund().await;
                Err(f)
            }
        }
    }

    /// Counts a try of which no account is known by its address, then lets `check` decide on
    /// it.
    pub(super) async fn attempt_address<T>(
        self,
        from: IpAddr,
        check: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Result<T, Failure> {
        let sign_ins = &self.0.limits.sign_ins;
        let keys = vec![address_key(from)];
        let attempt = sign_ins.begin(keys, self.0.clock.now()).await?;
        match check.await {
            Ok(None) => {
                self.log_lock_out("?", attempt.exhausted, from).await;
                Err(refused())
            }
            Ok(Some(found)) => {
                sign_ins.refund(attempt).await;
                Ok(found)
            }
            Err(f) => {
                sign_ins.refund(attempt).await;
                Err(f)
            }
        }
    }

    /// Counts a try at an account with a recovery code by the address, then lets `check` decide
    /// on it. A code is not guessed, so it is not in the account's allowance, which strangers may
    /// have used up.
    pub(crate) async fn attempt_code<T>(
        self,
        account: &TriedAccount,
        refusal: Refusal<'_>,
        client: &SignInClient,
        check: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Result<T, Failure> {
        let (limits, now) = (&self.0.limits, self.0.clock.now());
        let counted = limits
            .accounts
            .begin_code(&limits.sign_ins, account, client, now);
        let mut counted = counted.await?;
        let checked = check.await;
        if !matches!(checked, Ok(None)) {
            counted.refund().await;
            return checked?.ok_or(refusal.failure);
        }
        let exhausted = std::mem::take(&mut counted.exhausted);
        self.log_refusal(&refusal, account.holder, client).await;
        self.log_lock_out(refusal.account, exhausted, client.address)
            .await;
        Err(refusal.failure)
    }
}
