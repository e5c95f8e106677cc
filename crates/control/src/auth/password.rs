//! Sign-in with a name and a password: how many attempts are allowed, which of
//! them count, and what the audit log says of them.

use super::{Auth, limiter::address_key, password_strength::MAX_BYTES, sessions::proof};
use crate::{
    failures::store_failure,
    inputs::{OperatorSession, SignInTicket},
};
use domain::{ErrorCode, Failure, Field, Message, OperatorScope, Secret, TenantName};
use std::net::IpAddr;
use store::{OperatorRecord, TenantRecord};

/// Longest name of an operator, in bytes.
const MAX_OPERATOR_NAME: usize = 64;

fn refused() -> Failure {
    Failure::at(
        Field::Password,
        ErrorCode::SignInRefused,
        Message::SignInRefused,
    )
}

impl Auth<'_> {
    /// Checks a tenant's name and password. Allows 5 failures a minute for an
    /// account and for an address.
    ///
    /// # Errors
    /// `SignInRefused` (the same for an unknown name and a wrong password),
    /// `TooManyTries`, `Busy`.
    pub async fn sign_in(
        self,
        name: &str,
        password: &Secret,
        from: IpAddr,
    ) -> Result<SignInTicket, Failure> {
        let tenant = self.checked_tenant(name, password, from).await?;
        let logged = tenant.name.as_str();
        let entry = self.session_entry(logged, from, Some(tenant.id));
        match self.sign_in_ticket(&tenant, Some(entry)).await {
            // The tenant was deleted after its password was checked.
            Err(f) if f.code == ErrorCode::NotFound => Err(refused()),
            ticket => ticket,
        }
    }

    /// Checks a tenant's name and password, as [`Auth::sign_in`] does.
    pub(super) async fn checked_tenant(
        self,
        name: &str,
        password: &Secret,
        from: IpAddr,
    ) -> Result<TenantRecord, Failure> {
        let inner = self.0;
        // An impossible name is checked like any other, so that the answer
        // reveals nothing.
        let parsed = TenantName::parse(name).ok();
        let logged = parsed.as_ref().map_or("?", TenantName::as_str).to_owned();
        let check = async {
            if password.expose().len() > MAX_BYTES {
                return Ok(None);
            }
            let tenant = match &parsed {
                Some(name) => inner.store.tenant_by_name(name).await,
                None => Ok(None),
            }
            .map_err(store_failure)?;
            let hash = tenant.as_ref().map(|t| t.password_hash.clone());
            let is_right = inner.hasher.verify(password, hash).await?;
            Ok(tenant.filter(|_| is_right))
        };
        self.attempt(Some(format!("tenant {logged}")), &logged, from, check)
            .await
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
        from: IpAddr,
    ) -> Result<OperatorSession, Failure> {
        let operator = self.checked_operator(name, password, from).await?;
        let scope = OperatorScope::issue(operator.name);
        let entry = self.session_entry(&scope.actor(), from, None);
        self.0.store.audit(entry).await.map_err(store_failure)?;
        Ok(OperatorSession {
            proof: proof(&operator.password_hash),
            scope,
        })
    }

    /// Checks an operator's name and password, as [`Auth::operator_sign_in`] does.
    pub(super) async fn checked_operator(
        self,
        name: &str,
        password: &Secret,
        from: IpAddr,
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
        let check = async {
            let operator = inner.store.operator_by_name(name).await;
            let operator = operator.map_err(store_failure)?;
            let hash = operator.as_ref().map(|o| o.password_hash.clone());
            let is_right = inner.hasher.verify(password, hash).await?;
            Ok(operator.filter(|_| is_right))
        };
        self.attempt(Some(format!("operator {name}")), &logged, from, check)
            .await
    }

    /// Counts an attempt, then lets `check` decide on it. Only a wrong password
    /// stays counted: a busy server or a database that is away is not the
    /// client's fault. Without an account, only the address counts.
    pub(super) async fn attempt<T>(
        self,
        account: Option<String>,
        logged: &str,
        from: IpAddr,
        check: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Result<T, Failure> {
        let inner = self.0;
        let keys = account.into_iter().chain([address_key(from)]).collect();
        let sign_ins = &inner.limits.sign_ins;
        let attempt = sign_ins.begin(keys, inner.clock.now()).await?;
        match check.await {
            Ok(None) => {
                self.log_lock_out(logged, attempt.exhausted, from).await;
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
}
