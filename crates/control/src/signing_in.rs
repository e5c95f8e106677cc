//! Names with passwords: how many tries, what a try costs whom, and what is
//! written down of it.

use crate::{
    Control, failures::store_failure, limiter::address_key, password, requests::Arrival,
    requests::OperatorArrival,
};
use domain::{ErrorCode, Failure, Field, OperatorScope, Secret, TenantId, TenantName, TenantScope};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use store::AuditEntry;

pub(crate) fn too_many(wait_millis: i64) -> Failure {
    let secs = (wait_millis + 999) / 1000;
    let wait = if secs > 90 {
        format!("{} minutes", (secs + 59) / 60)
    } else {
        format!("{secs} seconds")
    };
    Failure::new(
        ErrorCode::TooManyTries,
        format!("Too many tries. Try again in {wait}."),
    )
}

fn refused() -> Failure {
    Failure::at(
        Field::Password,
        ErrorCode::SignInRefused,
        "The name or the password is wrong.",
    )
}

/// What changes with an operator's password: 64 bits of a hash of its salted
/// hash, of which nobody learns either.
fn proof(password_hash: &Secret) -> String {
    let digest = Sha256::digest(password_hash.expose());
    digest[..8].iter().map(|b| format!("{b:02x}")).collect()
}

impl Control {
    /// Checks a name and password. At most 5 failures a minute for an account
    /// and for an address.
    ///
    /// # Errors
    /// `SignInRefused` (the same for an unknown name and a wrong password),
    /// `TooManyTries`, `Busy`.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &Secret,
        from: IpAddr,
    ) -> Result<Arrival, Failure> {
        let inner = &self.0;
        // A name that cannot be is checked like any other, so that the answer tells nothing.
        let parsed = TenantName::parse(name).ok();
        let shown = parsed.as_ref().map_or("?", TenantName::as_str).to_owned();
        let check = async {
            if password.expose().len() > password::MAX {
                return Ok(None);
            }
            let tenant = match &parsed {
                Some(name) => inner.store.tenant_by_name(name).await,
                None => Ok(None),
            }
            .map_err(store_failure)?;
            let hash = tenant.as_ref().map(|t| t.password_hash.clone());
            let fits = inner.hasher.verify(password, hash).await?;
            Ok(tenant.filter(|_| fits))
        };
        let tenant = self
            .one_try(format!("tenant {shown}"), &shown, from, check)
            .await?;
        let entry = self.begins(&shown, from, Some(tenant.id));
        match self.arrival(&tenant, Some(entry)).await {
            // Deleted since the password was found right.
            Err(f) if f.code == ErrorCode::NotFound => Err(refused()),
            arrival => arrival,
        }
    }

    /// Checks an operator's name and password; limited as tenants' sign-ins are.
    ///
    /// # Errors
    /// `SignInRefused`, `TooManyTries`, `Busy`.
    pub async fn operator_sign_in(
        &self,
        name: &str,
        password: &Secret,
        from: IpAddr,
    ) -> Result<OperatorArrival, Failure> {
        let inner = &self.0;
        if name.len() > 64 || password.expose().len() > password::MAX {
            return Err(refused());
        }
        // What somebody typed at the wrong place, a password even, is not written down.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let shown = if name.chars().all(plain) { name } else { "?" };
        let shown = OperatorScope::issue(shown).actor();
        let check = async {
            let operator = inner.store.operator_by_name(name).await;
            let operator = operator.map_err(store_failure)?;
            let hash = operator.as_ref().map(|o| o.password_hash.clone());
            let fits = inner.hasher.verify(password, hash).await?;
            Ok(operator.filter(|_| fits))
        };
        let operator = self
            .one_try(format!("operator {name}"), &shown, from, check)
            .await?;
        let scope = OperatorScope::issue(operator.name);
        let entry = self.begins(&scope.actor(), from, None);
        inner.store.audit(entry).await.map_err(store_failure)?;
        Ok(OperatorArrival {
            proof: proof(&operator.password_hash),
            scope,
        })
    }

    /// Whether there is an operator of that name whose password is still the
    /// one that the session began with.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn operator_holds(&self, name: &str, kept: &str) -> Result<bool, Failure> {
        let found = self.0.store.operator_by_name(name).await;
        let found = found.map_err(store_failure)?;
        Ok(found.is_some_and(|o| proof(&o.password_hash) == kept))
    }

    /// Counts a change of a tenant's: nobody clicks once a second for long, and
    /// every change is rows, and work for the node.
    pub(crate) fn count_change(&self, scope: &TenantScope) -> Result<(), Failure> {
        let key = vec![format!("tenant {}", scope.tenant())];
        let counted = self.0.changes.begin(key, self.0.clock.now());
        counted.map(drop).map_err(too_many)
    }

    /// Lets `check` decide on a try that is counted already. Only a wrong
    /// password stays counted: that we are busy or the database is away is
    /// nobody's fault who signs in.
    async fn one_try<T>(
        &self,
        account: String,
        shown: &str,
        from: IpAddr,
        check: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Result<T, Failure> {
        let inner = &self.0;
        let keys = vec![account, address_key(from)];
        let counted = inner
            .sign_ins
            .begin(keys, inner.clock.now())
            .map_err(too_many)?;
        match check.await {
            Ok(None) => {
                self.note_lock_out(shown, counted.last, from).await;
                Err(refused())
            }
            Ok(Some(found)) => {
                inner.sign_ins.forgive(counted);
                Ok(found)
            }
            Err(f) => {
                inner.sign_ins.forgive(counted);
                Err(f)
            }
        }
    }

    /// The line that says that somebody came in.
    fn begins(&self, who: &str, from: IpAddr, tenant: Option<TenantId>) -> AuditEntry {
        AuditEntry {
            at: self.0.clock.now(),
            actor: who.to_owned(),
            action: "session.begin".to_owned(),
            object: who.to_owned(),
            detail: address_key(from),
            tenant,
        }
    }

    /// Writes a lock-out down: once in ten minutes for an account or address,
    /// so that whoever tries for hours does not fill the log.
    async fn note_lock_out(&self, who: &str, locked: Vec<String>, from: IpAddr) {
        let now = self.0.clock.now();
        if locked.is_empty() || self.0.lock_outs.begin(locked, now).is_err() {
            return;
        }
        let entry = AuditEntry {
            at: now,
            actor: "visitor".to_owned(),
            action: "session.refused".to_owned(),
            object: who.to_owned(),
            detail: format!("too many wrong passwords, {}", address_key(from)),
            tenant: None,
        };
        if let Err(e) = self.0.store.audit(entry).await {
            tracing::warn!(error = ?e, "a lock-out could not be written down");
        }
    }
}
