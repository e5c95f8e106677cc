//! From the token of a request to its permission.

use super::{
    access_token::invalid,
    permission::{ApiCaller, ApiPermission},
    secret_token::{TokenKind, parse},
};
use crate::{
    auth::{Auth, limits::ChangeBudget, sessions::proof},
    failures::store_failure,
};
use domain::{
    ErrorCode, Failure, Message, OperatorPermission, Secret, TenantHolderScope, TenantName,
    TenantPermission,
};
use store::{CredentialKind, CredentialRecord, TicketHolder};

/// How often the use of an API token is noted.
const NOTED_EVERY_MILLIS: i64 = 60_000;

impl Auth<'_> {
    /// Returns the permission of a request with this token: an access token, or an API
    /// token itself, as for programs that can only be given a fixed header.
    ///
    /// # Errors
    /// `TokenInvalid`, `TokenExpired`, `Suspended`, `DatabaseUnavailable`.
    pub async fn bearer(self, token: &Secret) -> Result<ApiPermission, Failure> {
        let credential = match TokenKind::Api.begins(token.expose()) {
            true => self.credential_of(TokenKind::Api, token).await?,
            false => {
                let read = self.read_access_token(token.expose()).await?;
                let found = self.credential(&read.credential).await?;
                found.filter(|c| read.is_of(c.holder)).ok_or_else(invalid)?
            }
        };
        self.note_use(&credential).await;
        self.wake_holder(&credential).await?;
        permission(credential)
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
        let (id, hash) = parse(kind, token).ok_or_else(invalid)?;
        let wanted = match kind {
            TokenKind::Refresh => CredentialKind::Session,
            TokenKind::Api => CredentialKind::Token,
        };
        let found = self.credential(id).await?;
        // Of a session the newest refresh token alone has that hash; whether another one
        // was used before is decided in the transaction that replaces it.
        let is_it = |c: &CredentialRecord| {
            c.kind == wanted && (kind == TokenKind::Refresh || c.secret == hash)
        };
        found.filter(is_it).ok_or_else(invalid)
    }

    /// Returns a credential that is still valid: its holder is not suspended, and has the
    /// same password.
    ///
    /// # Errors
    /// `Suspended`, `DatabaseUnavailable`.
    async fn credential(self, id: &str) -> Result<Option<CredentialRecord>, Failure> {
        let now = self.0.clock.now();
        let store = &self.0.store;
        let read = async { store.credential(id, now).await.map_err(store_failure) };
        let found = self.0.credential_reads.read(id, read).await?;
        let Some(credential) = found.filter(|c| c.proof == proof(&c.holder_password_hash)) else {
            return Ok(None);
        };
        if credential.is_suspended {
            return Err(suspended());
        }
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

/// Issues the permission of a credential.
fn permission(c: CredentialRecord) -> Result<ApiPermission, Failure> {
    let caller = match c.holder {
        TicketHolder::Tenant(id) => {
            let name = TenantName::parse(&c.holder_name).map_err(|_| invalid())?;
            ApiCaller::Tenant(TenantPermission::Holder(TenantHolderScope::issue(id, name)))
        }
        TicketHolder::Operator(_) => {
            let role = c.holder_role.ok_or_else(invalid)?;
            ApiCaller::Operator(OperatorPermission::issue(role, c.holder_name))
        }
    };
    Ok(ApiPermission {
        caller,
        access: c.access,
        holder: Some(c.holder),
        credential: c.id,
        proof: c.proof,
        is_session: c.kind == CredentialKind::Session,
        acting: None,
        acting_operator: None,
        revision: c.revision,
    })
}
