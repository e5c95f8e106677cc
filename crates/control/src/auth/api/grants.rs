//! What a client is given access for: a password, a refresh token or an API token.

use super::{
    access_token::invalid,
    bearer::{admission, suspended},
    permission::ApiPermission,
    secret_token::{TokenKind, make},
};
use crate::{
    auth::{
        Auth, SignInClient,
        second_factor::{GivenStep, Wanted},
        sessions::proof,
    },
    failures::store_failure,
    inputs::{Audience, PendingSignIn},
};
use domain::{Access, ErrorCode, Failure, Message, OperatorRole, Secret, TenantName, Timestamp};
use std::{net::IpAddr, time::Duration};
use store::{
    AuditEntry, CredentialKind, CredentialRecord, NewCredential, OperatorRecord, Rotation,
    TenantRecord, TenantState, TicketHolder, TokenHash,
};

/// How long a session lasts without a refresh, at most.
const IDLE_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);

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
    /// A sign-in that waits, and the code of its second factor.
    SecondFactor { pending: Secret, code: String },
}

/// A request for access.
#[derive(Debug)]
pub struct ApiGrant {
    pub grant: Grant,
    /// What the session may do that begins with a password.
    pub access: Access,
    /// The client, by which attempts are limited.
    pub client: SignInClient,
}

/// What became of a request for access.
#[derive(Debug)]
pub enum ApiStep {
    Done(ApiTokens),
    /// The password was right, and a second factor is asked for.
    SecondFactor(PendingSignIn),
}

impl ApiStep {
    /// Returns the tokens, if nothing is left to do.
    ///
    /// # Errors
    /// `SecondFactorNeeded`.
    pub fn done(self) -> Result<ApiTokens, Failure> {
        let code = ErrorCode::SecondFactorNeeded;
        match self {
            Self::Done(tokens) => Ok(tokens),
            Self::SecondFactor(_) => Err(Failure::new(code, Message::SecondFactorNeeded)),
        }
    }
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
    role: Option<OperatorRole>,
    has_factor: bool,
    is_asleep: bool,
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
    pub async fn grant(self, request: ApiGrant) -> Result<ApiStep, Failure> {
        let ApiGrant {
            grant,
            access,
            client,
        } = request;
        let client = client.checked();
        let from = client.address;
        let tokens = match grant {
            Grant::Tenant { name, password } => {
                let tenant = self.checked_tenant(&name, &password, &client).await?;
                let holder = self.tenant_holder(tenant, &client)?;
                return self.first_step(holder, access, &client).await;
            }
            Grant::Operator { name, password } => {
                let operator = self.checked_operator(&name, &password, &client).await?;
                let holder = self.operator_holder(operator, &client);
                return self.first_step(holder, access, &client).await;
            }
            Grant::SecondFactor { pending, code } => {
                let finished =
                    self.finish_pending(&pending, GivenStep::Code(&code), &client, Wanted::Api);
                let finished = finished.await?;
                let (name, access) = (&finished.account.name, finished.access);
                let store = &self.0.store;
                let mut holder = match finished.account.holder {
                    TicketHolder::Tenant(_) => {
                        let name = TenantName::parse(name).map_err(|_| invalid())?;
                        let tenant = store.tenant_by_name(&name).await.map_err(store_failure)?;
                        self.tenant_holder(tenant.ok_or_else(invalid)?, &client)?
                    }
                    TicketHolder::Operator(_) => {
                        let operator = store.operator_by_name(name).await;
                        let operator = operator.map_err(store_failure)?;
                        self.operator_holder(operator.ok_or_else(invalid)?, &client)
                    }
                };
                finished.detail.clone_into(&mut holder.entry.detail);
                let access = access.ok_or_else(invalid)?;
                self.begin_api_session(holder, access, &client).await
            }
            Grant::Refresh(token) => {
                let next = self.refresh(&token, from);
                self.counted(from, next).await
            }
            Grant::ApiToken(token) => {
                let given = async {
                    let found = self.credential_of(TokenKind::Api, &token).await?;
                    if let TicketHolder::Operator(_) = found.holder {
                        admission(&found)?;
                    }
                    self.tokens(found, None).await
                };
                self.counted(from, given).await
            }
        };
        tokens.map(ApiStep::Done)
    }

    /// Begins a session of a holder whose password was right, or asks for the second factor.
    async fn first_step(
        self,
        holder: SessionHolder,
        access: Access,
        client: &SignInClient,
    ) -> Result<ApiStep, Failure> {
        if self.has_second_factor(holder.holder).await? {
            let proof = proof(&holder.password_hash);
            let pending = self.begin_pending(
                holder.holder,
                &holder.entry.actor,
                &proof,
                client,
                Some(access),
            );
            return pending.await.map(ApiStep::SecondFactor);
        }
        let tokens = self.begin_api_session(holder, access, client).await?;
        Ok(ApiStep::Done(tokens))
    }

    fn tenant_holder(
        self,
        tenant: TenantRecord,
        client: &SignInClient,
    ) -> Result<SessionHolder, Failure> {
        if tenant.state == TenantState::Suspended {
            return Err(suspended());
        }
        let name = tenant.name.to_string();
        Ok(SessionHolder {
            holder: TicketHolder::Tenant(tenant.id),
            entry: self.session_entry(&name, client.address, Some(tenant.id)),
            name,
            password_hash: tenant.password_hash,
            role: None,
            has_factor: false,
            is_asleep: tenant.asleep_since.is_some(),
            audience: Audience::Dashboard,
        })
    }

    fn operator_holder(self, operator: OperatorRecord, client: &SignInClient) -> SessionHolder {
        let actor = format!("operator:{}", operator.name);
        SessionHolder {
            holder: TicketHolder::Operator(operator.id),
            entry: self.session_entry(&actor, client.address, None),
            name: operator.name,
            password_hash: operator.password_hash,
            role: Some(operator.role),
            has_factor: operator.has_factor,
            is_asleep: false,
            audience: Audience::Operator,
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
            ..AuditEntry::default()
        };
        let Some(holder) = permission.holder else {
            return Ok(());
        };
        let id = &permission.credential;
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
        client: &SignInClient,
    ) -> Result<ApiTokens, Failure> {
        let inner = self.0;
        self.remember_network(holder.holder, client).await?;
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
            holder_role: holder.role,
            holder_has_factor: holder.has_factor,
            is_suspended: false,
            revision: None,
            is_asleep: holder.is_asleep,
            name: String::new(),
            secret,
            access,
            created_at: now,
            used_at: None,
        };
        let description = client.description();
        let created = inner.store.create_credential(NewCredential {
            id: &session.id,
            kind: session.kind,
            holder: session.holder,
            name: &session.name,
            secret: &session.secret,
            access,
            proof: &session.proof,
            client: &description,
            is_present: true,
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
        self.wake_holder(&credential).await?;
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
        self.attempt_address(from, check).await.map_err(refused)
    }
}

/// How long a session lasts without a refresh. It is a program's, which keeps its tokens.
fn idle_timeout(audience: Audience) -> Duration {
    audience.idle_timeout(true).min(IDLE_TIMEOUT)
}

/// Returns until when a refresh token works that is given now in a session that began then.
fn refresh_expires(audience: Audience, begun: Timestamp, now: Timestamp) -> Timestamp {
    let after = |at: Timestamp, span: Duration| {
        at.plus_millis(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    };
    after(now, idle_timeout(audience)).min(after(begun, audience.max_age(true)))
}
