//! A holder's own API tokens: made, listed, deleted.

use super::{
    permission::{ApiCaller, ApiPermission},
    secret_token::{TokenKind, make},
};
use crate::{
    auth::{Auth, Presence},
    failures::store_failure,
};
use domain::{Access, ErrorCode, Failure, Field, Message, Secret, Timestamp};
use store::{AuditEntry, ClientDescription, CredentialKind, CredentialRecord, NewCredential};

/// The most characters of a token's name.
const MAX_NAME_CHARS: usize = 64;
/// The longest time a token is valid, in days.
const MAX_DAYS: u32 = 3_650;
const DAY_MILLIS: i64 = 86_400_000;

/// An API token to make.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// What its holder calls it, as typed.
    pub name: String,
    pub access: Access,
    /// For how many days it is valid.
    pub days: u32,
}

/// An API token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    pub id: String,
    pub name: String,
    pub access: Access,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it was used last, to the minute.
    pub used_at: Option<Timestamp>,
}

/// A new API token. The secret is shown this once.
#[derive(Debug)]
pub struct CreatedToken {
    pub token: ApiToken,
    pub secret: Secret,
}

fn shown(c: CredentialRecord) -> ApiToken {
    ApiToken {
        id: c.id,
        name: c.name,
        access: c.access,
        created_at: c.created_at,
        expires_at: c.expires_at,
        used_at: c.used_at,
    }
}

impl Auth<'_> {
    /// Makes an API token of the holder of this permission. It does at most what the
    /// permission does.
    ///
    /// # Errors
    /// `BadRequest` at the field, `NotPermitted`, `TokenLimit`, `TooManyTries`.
    pub async fn create_api_token(
        self,
        by: &ApiPermission,
        new: NewApiToken,
        _presence: Presence,
    ) -> Result<CreatedToken, Failure> {
        by.allow(Access::Write)?;
        let inner = self.0;
        let name = checked_name(&new.name)?;
        if !(1..=MAX_DAYS).contains(&new.days) {
            let most = MAX_DAYS.into();
            let message = Message::TokenDaysRange { most };
            return Err(Failure::new(ErrorCode::BadRequest, message));
        }
        let (holder, proof) = by.token_holder()?;
        let now = inner.clock.now();
        self.count_token_change(by)?;
        let id = inner.entropy.process_name()?;
        let (secret, hash) = make(TokenKind::Api, &id, &inner.entropy)?;
        let token = ApiToken {
            expires_at: now.plus_millis(i64::from(new.days) * DAY_MILLIS),
            id,
            name,
            access: new.access,
            created_at: now,
            used_at: None,
        };
        let client = ClientDescription::default();
        let created = inner.store.create_credential(NewCredential {
            id: &token.id,
            kind: CredentialKind::Token,
            holder,
            name: &token.name,
            secret: &hash,
            access: token.access,
            proof,
            client: &client,
            is_present: false,
            now,
            expires: token.expires_at,
            entry: self.token_entry(by, "token.create", &token.name),
        });
        created.await.map_err(store_failure)?;
        Ok(CreatedToken { token, secret })
    }

    /// Returns the holder's API tokens, oldest first, expired ones too for a while.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn api_tokens(self, of: &ApiPermission) -> Result<Vec<ApiToken>, Failure> {
        let (holder, _) = of.token_holder()?;
        let tokens = self.0.store.api_tokens(holder).await;
        let tokens = tokens.map_err(store_failure)?;
        Ok(tokens.into_iter().map(shown).collect())
    }

    /// Deletes one of the holder's API tokens. It is refused from the next request on.
    ///
    /// # Errors
    /// `NotFound`, also for another holder's; `NotPermitted`, `TooManyTries`.
    pub async fn delete_api_token(self, by: &ApiPermission, id: &str) -> Result<(), Failure> {
        by.allow(Access::Write)?;
        self.count_token_change(by)?;
        let entry = |name: &str| self.token_entry(by, "token.delete", name);
        let kind = CredentialKind::Token;
        let (holder, _) = by.token_holder()?;
        let deleted = self.0.store.delete_credential(holder, kind, id, entry);
        deleted.await.map_err(store_failure)
    }

    fn count_token_change(self, by: &ApiPermission) -> Result<(), Failure> {
        match &by.caller {
            ApiCaller::Tenant(scope) => {
                let now = self.0.clock.now();
                self.0.limits.count_change(scope.tenant(), now)
            }
            ApiCaller::Operator(_) | ApiCaller::FactorNeeded(_) => Ok(()),
        }
    }

    fn token_entry(self, by: &ApiPermission, action: &str, name: &str) -> AuditEntry {
        let (object, tenant) = match &by.caller {
            ApiCaller::Tenant(scope) => (format!("{}/{name}", scope.name()), Some(scope.tenant())),
            ApiCaller::Operator(_) | ApiCaller::FactorNeeded(_) => {
                (format!("{}/{name}", by.caller.actor()), None)
            }
        };
        AuditEntry {
            at: self.0.clock.now(),
            actor: by.caller.actor(),
            action: action.to_owned(),
            object,
            detail: String::new(),
            tenant,
            ..AuditEntry::default()
        }
    }
}

/// Returns the name as it is stored.
fn checked_name(typed: &str) -> Result<String, Failure> {
    let name = typed.trim();
    let is_visible = !name.is_empty()
        && name.chars().count() <= MAX_NAME_CHARS
        && !name.chars().any(char::is_control);
    if is_visible {
        return Ok(name.to_owned());
    }
    let most = MAX_NAME_CHARS as u64;
    let message = Message::TokenNameMalformed { most };
    Err(Failure::at(Field::Name, ErrorCode::BadRequest, message))
}
