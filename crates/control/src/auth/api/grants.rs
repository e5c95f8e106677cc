//! What a client is given access for: a password, a refresh token or an API token.

use super::{
    access_token::invalid,
    bearer::suspended,
    permission::ApiPermission,
    secret_token::{TokenKind, make},
};
use crate::{
    auth::{Auth, sessions::proof},
    failures::store_failure,
    inputs::Audience,
};
use domain::{Access, ErrorCode, Failure, Secret, Timestamp};
use std::net::IpAddr;
use store::{
    AuditEntry, CredentialKind, CredentialRecord, NewCredential, Rotation, TenantState,
    TicketHolder, TokenHash,
};

/// What a client shows.
#[derive(Debug)]
pub enum Grant {
    /// A tenant's name and password.
    Tenant { name: String, password: Secret },
    /// An operator's name and password.
    Operator { name: String, password: Secret },
    /// A session's newest refresh token.
    Refresh(Secret),
    /// An API token.
    ApiToken(Secret),
}

/// A request for access.
#[derive(Debug)]
pub struct ApiGrant {
    pub grant: Grant,
    /// What the session may do that begins with a password.
    pub access: Access,
    /// The client's address, by which attempts are limited.
    pub from: IpAddr,
}

/// What a client is given.
#[derive(Debug)]
pub struct ApiTokens {
    pub access_token: Secret,
    pub expires_at: Timestamp,
    /// The next refresh token and until when it works; API tokens have none.
    pub refresh: Option<(Secret, Timestamp)>,
    pub access: Access,
    /// The tenant's or operator's name.
    pub name: String,
    pub is_operator: bool,
}

/// Whose session begins.
struct SessionHolder {
    holder: TicketHolder,
    name: String,
    password_hash: Secret,
    audience: Audience,
    entry: AuditEntry,
}

impl Auth<'_> {
    /// Gives access. A wrong password or token counts as an attempt, with the limits of the
    /// pages.
    ///
    /// # Errors
    /// `SignInRefused`, `TokenInvalid`, `Suspended`, `TooManyTries`, `Busy`,
    /// `DatabaseUnavailable`.
    pub async fn grant(self, request: ApiGrant) -> Result<ApiTokens, Failure> {
        let ApiGrant {
            grant,
            access,
            from,
        } = request;
        match grant {
            Grant::Tenant { name, password } => {
                let tenant = self.checked_tenant(&name, &password, from).await?;
                if tenant.state == TenantState::Suspended {
                    return Err(suspended());
                }
                let holder = SessionHolder {
                    holder: TicketHolder::Tenant(tenant.id),
                    entry: self.session_entry(tenant.name.as_str(), from, Some(tenant.id)),
                    name: tenant.name.to_string(),
                    password_hash: tenant.password_hash,
                    audience: Audience::Dashboard,
                };
                self.begin_api_session(holder, access).await
            }
            Grant::Operator { name, password } => {
                let operator = self.checked_operator(&name, &password, from).await?;
                let actor = format!("operator:{}", operator.name);
                let holder = SessionHolder {
                    holder: TicketHolder::Operator(operator.id),
                    entry: self.session_entry(&actor, from, None),
                    name: operator.name,
                    password_hash: operator.password_hash,
                    audience: Audience::Operator,
                };
                self.begin_api_session(holder, access).await
            }
            Grant::Refresh(token) => {
                let next = self.refresh(&token, from);
                self.counted(from, next).await
            }
            Grant::ApiToken(token) => {
                let given = async {
                    let found = self.credential_of(TokenKind::Api, &token).await?;
                    self.tokens(found, None).await
                };
                self.counted(from, given).await
            }
        }
    }

    /// Ends the session that a permission follows from. An API token stays.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn end_api_session(self, permission: &ApiPermission) -> Result<(), Failure> {
        let actor = permission.caller.actor();
        let entry = |_: &str| AuditEntry {
            at: self.0.clock.now(),
            actor: actor.clone(),
            action: "session.end".to_owned(),
            object: actor.clone(),
            detail: String::new(),
            tenant: None,
        };
        let (holder, id) = (permission.holder, &permission.credential);
        let kind = CredentialKind::Session;
        let deleted = self.0.store.delete_credential(holder, kind, id, entry);
        match deleted.await {
            // It is over already, or an API token's.
            Ok(()) | Err(store::StoreError::NotFound) => Ok(()),
            Err(e) => Err(store_failure(e)),
        }
    }

    async fn begin_api_session(
        self,
        holder: SessionHolder,
        access: Access,
    ) -> Result<ApiTokens, Failure> {
        let inner = self.0;
        let (id, now) = (inner.entropy.process_name()?, inner.clock.now());
        let (token, secret) = make(TokenKind::Refresh, &id, &inner.entropy)?;
        let session = CredentialRecord {
            expires_at: refresh_expires(holder.audience, now, now),
            proof: proof(&holder.password_hash),
            id,
            kind: CredentialKind::Session,
            holder: holder.holder,
            holder_name: holder.name,
            holder_password_hash: holder.password_hash,
            is_suspended: false,
            name: String::new(),
            secret,
            access,
            created_at: now,
            used_at: None,
        };
        let created = inner.store.create_credential(NewCredential {
            id: &session.id,
            kind: session.kind,
            holder: session.holder,
            name: &session.name,
            secret: &session.secret,
            access,
            proof: &session.proof,
            now,
            expires: session.expires_at,
            entry: holder.entry,
        });
        match created.await.map_err(store_failure) {
            Ok(()) => {}
            // The holder was deleted after its password was checked.
            Err(f) if f.code == ErrorCode::NotFound => return Err(invalid()),
            Err(f) => return Err(f),
        }
        self.tokens(session, Some(token)).await
    }

    async fn refresh(self, token: &Secret, from: IpAddr) -> Result<ApiTokens, Failure> {
        let inner = self.0;
        let mut session = self.credential_of(TokenKind::Refresh, token).await?;
        let now = inner.clock.now();
        let (next, secret) = make(TokenKind::Refresh, &session.id, &inner.entropy)?;
        let audience = match session.holder {
            TicketHolder::Tenant(_) => Audience::Dashboard,
            TicketHolder::Operator(_) => Audience::Operator,
        };
        let expires = refresh_expires(audience, session.created_at, now);
        let old = TokenHash::of(token);
        let rotated = inner
            .store
            .rotate_refresh_token(&session.id, &old, &secret, now, expires);
        match rotated.await.map_err(store_failure)? {
            Rotation::Rotated => {}
            Rotation::Unknown => return Err(invalid()),
            Rotation::Replayed => {
                let tenant = match session.holder {
                    TicketHolder::Tenant(id) => Some(id),
                    TicketHolder::Operator(_) => None,
                };
                let mut entry = self.session_entry(&session.holder_name, from, tenant);
                "session.replayed".clone_into(&mut entry.action);
                inner.store.audit(entry).await.map_err(store_failure)?;
                return Err(invalid());
            }
        }
        session.expires_at = expires;
        self.tokens(session, Some(next)).await
    }

    async fn tokens(
        self,
        credential: CredentialRecord,
        refresh: Option<Secret>,
    ) -> Result<ApiTokens, Failure> {
        let (access_token, expires_at) = self.issue_access_token(&credential).await?;
        Ok(ApiTokens {
            access_token,
            expires_at,
            refresh: refresh.map(|token| (token, credential.expires_at)),
            access: credential.access,
            is_operator: matches!(credential.holder, TicketHolder::Operator(_)),
            name: credential.holder_name,
        })
    }

    /// Counts a token that is not valid as an attempt of its sender.
    async fn counted<T>(
        self,
        from: IpAddr,
        given: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let is_wrong = |f: &Failure| f.code == ErrorCode::TokenInvalid;
        let check = async {
            match given.await {
                Err(f) if is_wrong(&f) => Ok(None),
                Err(f) => Err(f),
                Ok(given) => Ok(Some(given)),
            }
        };
        let refused = |f: Failure| match f.code {
            ErrorCode::SignInRefused => invalid(),
            _ => f,
        };
        self.attempt(None, "?", from, check).await.map_err(refused)
    }
}

/// Returns until when a refresh token works that is given now in a session that began then.
fn refresh_expires(audience: Audience, begun: Timestamp, now: Timestamp) -> Timestamp {
    let after = |at: Timestamp, span: std::time::Duration| {
        at.plus_millis(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    };
    after(now, audience.idle_timeout()).min(after(begun, audience.max_age()))
}
