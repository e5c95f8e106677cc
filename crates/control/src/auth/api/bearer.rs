//! From the token of a request to its permission.

use super::{
    access_token::invalid,
    known_credentials::ReadAt,
    permission::{ApiCaller, ApiPermission},
    secret_token::{TokenKind, parse},
};
use crate::{
    auth::{Auth, limits::ChangeBudget, sessions::proof},
    failures::store_failure,
};
use domain::{
    ErrorCode, Failure, Message, OperatorAdmission, Secret, TenantHolderScope, TenantName,
    TenantPermission, Timestamp,
};
use std::{sync::Arc, time::Instant};
use store::{CredentialKind, CredentialRecord, TicketHolder};

/// How often the use of an API token is noted.
const NOTED_EVERY_MILLIS: i64 = 60_000;

/// How a credential is found.
#[derive(Clone, Copy)]
enum Freshness {
    /// It is read.
    Read,
    /// It is read if it has to be.
    Known,
}

impl Auth<'_> {
    /// Returns the permission of a request with this token: an access token, or an API
    /// token itself, as for programs that can only be given a fixed header.
    ///
    /// # Errors
    /// `TokenInvalid`, `TokenExpired`, `Suspended`, `DatabaseUnavailable`; `SecondFactorRequired`
    /// for an API token of an owner without one.
    pub async fn bearer(self, token: &Secret) -> Result<ApiPermission, Failure> {
        self.permission_of(token, Freshness::Read).await
    }

    /// Does what [`Auth::bearer`] does for a request that changes nothing. What was changed
    /// elsewhere, by another control plane or by hand, may be noticed 20 ms later
    /// ([`super::known_credentials`]).
    ///
    /// # Errors
    /// As [`Auth::bearer`].
    pub async fn bearer_to_read(self, token: &Secret) -> Result<ApiPermission, Failure> {
        self.permission_of(token, Freshness::Known).await
    }

    async fn permission_of(
        self,
        token: &Secret,
        freshness: Freshness,
    ) -> Result<ApiPermission, Failure> {
        let credential = match TokenKind::Api.begins(token.expose()) {
            true => self.credential_by(TokenKind::Api, token, freshness).await?,
            false => {
                let read = self.read_access_token(token.expose()).await?;
                let found = self.credential(&read.credential, freshness).await?;
                found.filter(|c| read.is_of(c.holder)).ok_or_else(invalid)?
            }
        };
        self.note_use(&credential).await;
        self.wake_holder(&credential).await?;
        permission(&credential)
    }

    /// Returns how many changes the holder of a permission may still make. An operator's are
    /// not limited.
    pub fn changes_left(self, permission: &ApiPermission) -> Option<ChangeBudget> {
        let ApiCaller::Tenant(scope) = &permission.caller else {
            return None;
        };
        let now = self.0.clock.now();
        Some(self.0.limits.changes_left(scope.tenant(), now))
    }

    /// Returns the credential of a refresh or API token, if it is valid.
    ///
    /// # Errors
    /// `TokenInvalid`, `Suspended`, `DatabaseUnavailable`.
    pub(super) async fn credential_of(
        self,
        kind: TokenKind,
        token: &Secret,
    ) -> Result<CredentialRecord, Failure> {
        let found = self.credential_by(kind, token, Freshness::Read).await?;
        Ok(Arc::unwrap_or_clone(found))
    }

    async fn credential_by(
        self,
        kind: TokenKind,
        token: &Secret,
        freshness: Freshness,
    ) -> Result<Arc<CredentialRecord>, Failure> {
        let (id, hash) = parse(kind, token).ok_or_else(invalid)?;
        let wanted = match kind {
            TokenKind::Refresh => CredentialKind::Session,
            TokenKind::Api => CredentialKind::Token,
        };
        let found = self.credential(id, freshness).await?;
        // Of a session the newest refresh token alone has that hash; whether another one
        // was used before is decided in the transaction that replaces it.
        let is_it = |c: &Arc<CredentialRecord>| {
            c.kind == wanted && (kind == TokenKind::Refresh || c.secret == hash)
        };
        found.filter(is_it).ok_or_else(invalid)
    }

    /// Returns a credential that is still valid: its holder is not suspended, and has the
    /// same password.
    ///
    /// # Errors
    /// `Suspended`, `DatabaseUnavailable`.
    async fn credential(
        self,
        id: &str,
        freshness: Freshness,
    ) -> Result<Option<Arc<CredentialRecord>>, Failure> {
        let inner = self.0;
        let time = inner.clock.now();
        let known = match freshness {
            Freshness::Known => inner.known_credentials.get(id, self.read_at(), time),
            Freshness::Read => None,
        };
        let found = match known {
            Some(known) => Some(known),
            None => {
                let reads = &inner.credential_reads;
                reads.read(id, self.read_credential(id, time)).await?
            }
        };
        if found.as_ref().is_some_and(|c| c.is_suspended) {
            return Err(suspended());
        }
        Ok(found)
    }

    fn read_at(self) -> ReadAt {
        ReadAt {
            writes: self.0.store.writes(),
            begun: Instant::now(),
        }
    }

    /// Reads a credential whose holder has the password that it was created with.
    async fn read_credential(
        self,
        id: &str,
        time: Timestamp,
    ) -> Result<Option<Arc<CredentialRecord>>, Failure> {
        let inner = self.0;
        let at = self.read_at();
        let found = inner.store.credential(id, time).await;
        let found = found.map_err(store_failure)?;
        let valid = found.filter(|(c, _)| c.proof == proof(&c.holder_password_hash));
        let Some((credential, state)) = valid else {
            inner.known_credentials.forget(id);
            return Ok(None);
        };
        let credential = Arc::new(credential);
        inner.known_credentials.keep(&credential, state, at);
        Ok(Some(credential))
    }

    /// Wakes the tenant of a credential if it sleeps: it is being used.
    pub(super) async fn wake_holder(self, credential: &CredentialRecord) -> Result<(), Failure> {
        match credential.holder {
            TicketHolder::Tenant(id) if credential.is_asleep => {
                self.0.wake(id, &credential.holder_name).await
            }
            _ => Ok(()),
        }
    }

    async fn note_use(self, credential: &CredentialRecord) {
        let now = self.0.clock.now();
        let before = now.plus_millis(-NOTED_EVERY_MILLIS);
        let is_due = credential.used_at.is_none_or(|at| at <= before);
        if credential.kind != CredentialKind::Token || !is_due {
            return;
        }
        let noted = self.0.store.note_token_use(&credential.id, now, before);
        if let Err(error) = noted.await {
            tracing::warn!(?error, "the use of an API token could not be noted");
        }
    }
}

/// Returns the failure of a suspended tenant.
pub(super) fn suspended() -> Failure {
    Failure::new(ErrorCode::Suspended, Message::NetworkSuspended)
}

/// Returns what the operator of this name has by a credential.
///
/// # Errors
/// `SecondFactorRequired` for an API token of an owner without one: a program adds none.
pub(super) fn admission(c: &CredentialRecord) -> Result<OperatorAdmission, Failure> {
    let role = c.holder_role.ok_or_else(invalid)?;
    let admission = OperatorAdmission::issue(role, &c.holder_name, c.holder_has_factor);
    if c.kind == CredentialKind::Token {
        admission.permission()?;
    }
    Ok(admission)
}

/// Issues the permission of a credential.
fn permission(c: &CredentialRecord) -> Result<ApiPermission, Failure> {
    let caller = match c.holder {
        TicketHolder::Tenant(id) => {
            let name = TenantName::parse(&c.holder_name).map_err(|_| invalid())?;
            ApiCaller::Tenant(TenantPermission::Holder(TenantHolderScope::issue(id, name)))
        }
        TicketHolder::Operator(_) => admission(c)?.into(),
    };
    Ok(ApiPermission {
        caller,
        access: c.access,
        holder: Some(c.holder),
        credential: c.id.clone(),
        proof: c.proof.clone(),
        is_session: c.kind == CredentialKind::Session,
        acting: None,
        acting_operator: None,
        revision: c.revision,
    })
}
