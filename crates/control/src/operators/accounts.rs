//! The operators' accounts: who there is, with which role, and the links by which they choose
//! a password.

use super::Operators;
use crate::{
    account::Account,
    auth::{address_key, address_prefix, check_length},
    failures::store_failure,
};
use domain::{
    ErrorCode, Failure, Field, Message, OperatorRole, OperatorScope, OwnerScope, Secret, Timestamp,
    view::{OperatorInvitation, OperatorRow, OperatorsView},
};
use std::net::IpAddr;
use store::{ChangedBy, NewOperatorLink, OperatorRecord, TokenHash};

/// How long a link is valid.
const LINK_MILLIS: i64 = 86_400_000;
/// The most characters of an operator's name.
const MAX_NAME: usize = 64;
/// What the audit log calls the command line; no operator has this name.
const RESERVED: &str = "cli";
/// Longest token that is looked up, in bytes.
const MAX_TOKEN_BYTES: usize = 64;

/// A link by which an operator chooses a password. It is shown this once.
#[derive(Debug)]
pub struct OperatorLink {
    /// Its address on the operators' host.
    pub url: Secret,
    /// The token in it.
    pub token: Secret,
    pub expires_at: Timestamp,
}

/// What a link makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorWelcome {
    /// The operator's name; the first operator chooses one.
    pub name: Option<String>,
    pub role: OperatorRole,
}

impl Operators<'_> {
    /// Makes a link by which the first operator chooses a name and a password; `None` if there
    /// is an operator. It needs no permission, because there is no operator yet to give one: only
    /// the server's start and its command line call it, and show the link to root.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn first_link(self) -> Result<Option<OperatorLink>, Failure> {
        if self.0.store.operator_count().await.map_err(store_failure)? > 0 {
            return Ok(None);
        }
        let (link, hash) = self.new_link()?;
        let made = self.0.store.create_first_operator_link(NewOperatorLink {
            token: &hash,
            now: self.0.clock.now(),
            expires: link.expires_at,
        });
        Ok(made.await.map_err(store_failure)?.then_some(link))
    }

    /// Invites an operator with a role. A former invitation of this name is replaced.
    ///
    /// # Errors
    /// `OperatorMalformed` and `NameTaken` at the name, `DatabaseUnavailable`.
    pub async fn invite(
        self,
        owner: &OwnerScope,
        typed: &str,
        role: OperatorRole,
    ) -> Result<OperatorLink, Failure> {
        let name = checked_name(typed)?;
        let (link, hash) = self.new_link()?;
        let now = self.0.clock.now();
        let new = NewOperatorLink {
            token: &hash,
            now,
            expires: link.expires_at,
        };
        let actor = owner.actor();
        let invited = self
            .0
            .store
            .invite_operator(new, &name, role, by(owner, &actor, now));
        invited.await.map_err(store_failure)?;
        Ok(link)
    }

    /// Returns what a link makes. Nothing is used up. Wrong tokens are counted as wrong
    /// passwords are.
    ///
    /// # Errors
    /// `OperatorLinkInvalid`, `TooManyTries`, `DatabaseUnavailable`.
    pub async fn welcome(self, token: &Secret, from: IpAddr) -> Result<OperatorWelcome, Failure> {
        let inner = self.0;
        if token.expose().is_empty() {
            return Err(invalid());
        }
        let now = inner.clock.now();
        let sign_ins = &inner.limits.sign_ins;
        let attempt = sign_ins.begin(vec![address_key(from)], now).await?;
        let found = match token.expose().len() <= MAX_TOKEN_BYTES {
            true => inner.store.operator_link(&TokenHash::of(token), now).await,
            false => Ok(None),
        };
        let found = match found {
            Ok(Some(found)) => found,
            // It stays counted.
            Ok(None) => return Err(invalid()),
            Err(e) => {
                sign_ins.refund(attempt).await;
                return Err(store_failure(e));
            }
        };
        sign_ins.refund(attempt).await;
        Ok(OperatorWelcome {
            name: found.name,
            role: found.role,
        })
    }

    /// Uses a link up: makes its operator with that password. The first operator is called as
    /// typed. Returns the name, with which to sign in.
    ///
    /// # Errors
    /// As [`Operators::welcome`]; `OperatorMalformed`, `NameTaken` and `PasswordWeak` at their
    /// fields. Nothing is used up then.
    pub async fn accept(
        self,
        token: &Secret,
        typed: &str,
        password: &Secret,
        from: IpAddr,
    ) -> Result<String, Failure> {
        let inner = self.0;
        let welcome = self.welcome(token, from).await?;
        let name = match welcome.name {
            Some(name) => name,
            None => checked_name(typed)?,
        };
        check_length(password)?;
        inner.hasher.check_strength(password, &name).await?;
        let password_hash = inner.hasher.hash(password).await?;
        let hash = TokenHash::of(token);
        let (origin, now) = (address_prefix(from), inner.clock.now());
        let store = &inner.store;
        let made = store.use_operator_link(&hash, &name, &password_hash, &origin, now);
        Ok(made.await.map_err(store_failure)?.name)
    }

    /// Returns the operators and those who are invited.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn list(self, _operator: &OperatorScope) -> Result<OperatorsView, Failure> {
        let now = self.0.clock.now();
        let store = &self.0.store;
        let read = tokio::try_join!(store.operators(), store.operator_invitations(now));
        let (operators, invitations) = read.map_err(store_failure)?;
        let operators = operators.into_iter().map(|o| OperatorRow {
            name: o.name,
            role: o.role,
            created_at: o.created_at,
        });
        let invitations = invitations.into_iter().map(|i| OperatorInvitation {
            name: i.name,
            role: i.role,
            created_at: i.created_at,
            expires_at: i.expires_at,
        });
        Ok(OperatorsView {
            now,
            operators: operators.collect(),
            invitations: invitations.collect(),
        })
    }

    /// Gives an operator another role, in force with its next request.
    ///
    /// # Errors
    /// `NotFound`, `LastOwner`, `DatabaseUnavailable`.
    pub async fn set_role(
        self,
        owner: &OwnerScope,
        name: &str,
        role: OperatorRole,
    ) -> Result<(), Failure> {
        let operator = self.find(name).await?.ok_or_else(|| unknown(name))?;
        let (actor, now) = (owner.actor(), self.0.clock.now());
        let store = &self.0.store;
        let set = store.set_operator_role(operator.id, role, by(owner, &actor, now));
        set.await.map_err(store_failure)
    }

    /// Removes an operator, whose sessions and tokens end at once, or withdraws an
    /// invitation.
    ///
    /// # Errors
    /// `NotFound`, `LastOwner`, `DatabaseUnavailable`.
    pub async fn remove(self, owner: &OwnerScope, name: &str) -> Result<(), Failure> {
        let found = self.find(name).await?;
        let (actor, now) = (owner.actor(), self.0.clock.now());
        let (store, by) = (&self.0.store, by(owner, &actor, now));
        let removed = match found {
            Some(operator) => store.remove_operator(operator.id, by).await,
            None => store.withdraw_operator_invitation(name.trim(), by).await,
        };
        removed.map_err(|e| match e {
            store::StoreError::NotFound => unknown(name),
            e => store_failure(e),
        })
    }

    /// Makes a link by which an operator chooses a new password; with `without_factors` it
    /// loses its second factor then, too. Until it is used, the former password stays.
    ///
    /// # Errors
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn reset_link(
        self,
        owner: &OwnerScope,
        name: &str,
        without_factors: bool,
    ) -> Result<OperatorLink, Failure> {
        let account = Account(self.0);
        let made = account.operator_reset_link(owner, name, without_factors);
        let made = made.await?;
        Ok(OperatorLink {
            url: made.url,
            token: made.token,
            expires_at: made.expires_at,
        })
    }

    async fn find(self, name: &str) -> Result<Option<OperatorRecord>, Failure> {
        let found = self.0.store.operator_by_name(name.trim()).await;
        found.map_err(store_failure)
    }

    fn new_link(self) -> Result<(OperatorLink, TokenHash), Failure> {
        let token = self.0.entropy.token()?;
        let hash = TokenHash::of(&token);
        let expires_at = self.0.clock.now().plus_millis(LINK_MILLIS);
        let link = OperatorLink {
            url: self.welcome_url(&token),
            token,
            expires_at,
        };
        Ok((link, hash))
    }

    /// Returns the address of a page on the operators' host that takes a token.
    fn welcome_url(self, token: &Secret) -> Secret {
        let base = &self.0.settings.base_url;
        let (scheme, host) = base.split_once("://").unwrap_or(("https", base));
        let token = token.expose();
        Secret::new(format!("{scheme}://admin.{host}/welcome?token={token}"))
    }
}

fn by<'a>(owner: &'a OwnerScope, actor: &'a str, now: Timestamp) -> ChangedBy<'a> {
    ChangedBy {
        actor,
        origin: owner.origin(),
        now,
    }
}

fn invalid() -> Failure {
    Failure::new(ErrorCode::OperatorLinkInvalid, Message::OperatorLinkInvalid)
}

fn unknown(name: &str) -> Failure {
    let name = name.trim().chars().take(MAX_NAME).collect();
    Failure::new(ErrorCode::NotFound, Message::OperatorUnknown { name })
}

/// Returns the name as it is stored.
fn checked_name(typed: &str) -> Result<String, Failure> {
    let name = typed.trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_good = !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_plain);
    if is_good && !name.eq_ignore_ascii_case(RESERVED) {
        return Ok(name.to_owned());
    }
    let most = MAX_NAME as u64;
    let message = Message::OperatorNameMalformed { most };
    let code = ErrorCode::OperatorMalformed;
    Err(Failure::at(Field::Name, code, message))
}
