//! One-time links to a new password, for those who have lost theirs and their recovery codes. An
//! operator makes one, or the command line, and hands it over.

use super::Account;
use crate::{
    auth::{address_key, proof},
    failures::store_failure,
};
use domain::{
    ErrorCode, Failure, Message, OperatorScope, OwnerScope, Secret, SupportScope, TenantScope,
    Timestamp,
};
use std::net::IpAddr;
use store::{
    AccountRecord, AuditEntry, NewResetLink, PasswordChange, PasswordProof, ResetLinkRecord,
    TicketHolder, TokenHash,
};

/// How long a link is valid.
const LINK_MILLIS: i64 = 3_600_000;
/// The longest token that is looked up, in bytes.
const MAX_TOKEN_BYTES: usize = 64;

/// A link to a new password. It is shown this once.
#[derive(Debug)]
pub struct ResetLink {
    /// The account's name.
    pub name: String,
    pub is_operator: bool,
    /// The token in the link's address: `/reset?token=…` on the account's own host.
    pub token: Secret,
    /// The address with it.
    pub url: Secret,
    pub expires_at: Timestamp,
}

/// Whose password a link replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetTarget {
    pub name: String,
    pub is_operator: bool,
}

impl ResetTarget {
    fn of(account: &AccountRecord) -> Self {
        Self {
            name: account.name.clone(),
            is_operator: matches!(account.holder, TicketHolder::Operator(_)),
        }
    }
}

fn invalid() -> Failure {
    Failure::new(ErrorCode::ResetInvalid, Message::ResetInvalid)
}

impl Account<'_> {
    /// Makes a link to a new password of a tenant, in place of a former one. With
    /// `without_factors` it also takes the second factors away, for those who have lost these
    /// too.
    ///
    /// # Errors
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn tenant_reset_link(
        self,
        by: &SupportScope,
        tenant: &TenantScope,
        without_factors: bool,
    ) -> Result<ResetLink, Failure> {
        let holder = TicketHolder::Tenant(tenant.tenant());
        let account = self.0.store.account(holder).await.map_err(store_failure)?;
        let account = account.ok_or_else(Failure::not_found)?;
        self.reset_link(by, account, without_factors).await
    }

    /// Makes a link to a new password of an operator.
    ///
    /// # Errors
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn operator_reset_link(
        self,
        by: &OwnerScope,
        name: &str,
        without_factors: bool,
    ) -> Result<ResetLink, Failure> {
        let found = self.0.store.operator_by_name(name.trim()).await;
        let operator = found.map_err(store_failure)?.ok_or_else(|| {
            let name = name.to_owned();
            Failure::new(ErrorCode::NotFound, Message::OperatorUnknown { name })
        })?;
        let account = AccountRecord {
            holder: TicketHolder::Operator(operator.id),
            name: operator.name,
            password_hash: operator.password_hash,
        };
        self.reset_link(by, account, without_factors).await
    }

    async fn reset_link(
        self,
        by: &OperatorScope,
        account: AccountRecord,
        without_factors: bool,
    ) -> Result<ResetLink, Failure> {
        let (token, now) = (self.0.entropy.token()?, self.now());
        let expires_at = now.plus_millis(LINK_MILLIS);
        let entry = AuditEntry {
            actor: by.actor(),
            detail: match without_factors {
                true => "without second factors".to_owned(),
                false => String::new(),
            },
            ..self.entry(&account, "password.reset-link", None)
        };
        let (hash, proof) = (TokenHash::of(&token), proof(&account.password_hash));
        let created = self.0.store.create_reset_link(NewResetLink {
            holder: account.holder,
            token: &hash,
            proof: &proof,
            without_factors,
            expires: expires_at,
            mailed: None,
            entry,
        });
        created.await.map_err(store_failure)?;
        let target = ResetTarget::of(&account);
        let host = match target.is_operator {
            true => "admin",
            false => target.name.as_str(),
        };
        let base = &self.0.settings.base_url;
        let (scheme, base) = base.split_once("://").unwrap_or(("https", base));
        let path = format!("reset?token={}", token.expose());
        Ok(ResetLink {
            url: Secret::new(format!("{scheme}://{host}.{base}/{path}")),
            name: target.name,
            is_operator: target.is_operator,
            token,
            expires_at,
        })
    }

    /// Returns whose password a link replaces. Nothing is used up. Wrong links are counted as
    /// wrong passwords are.
    ///
    /// # Errors
    /// `ResetInvalid`, `TooManyTries`, `DatabaseUnavailable`.
    pub async fn reset_target(self, token: &Secret, from: IpAddr) -> Result<ResetTarget, Failure> {
        let (account, _) = self.find_link(token, from).await?;
        Ok(ResetTarget::of(&account))
    }

    /// Sets a new password for a link, which is used up. What was begun with the former
    /// password ends. Returns whose it is.
    ///
    /// # Errors
    /// `ResetInvalid`, `PasswordWeak` at the new password, `TooManyTries`, `Busy`; the link
    /// stays as it is then.
    pub async fn reset_password(
        self,
        token: &Secret,
        new: &Secret,
        from: IpAddr,
    ) -> Result<ResetTarget, Failure> {
        let (account, link) = self.find_link(token, from).await?;
        let new_hash = self.checked_hash(new, &account.name).await?;
        let change = PasswordChange {
            holder: account.holder,
            old_hash: &account.password_hash,
            new_hash: &new_hash,
            new_proof: &proof(&new_hash),
            going_on: None,
            by: PasswordProof::ResetLink(&TokenHash::of(token)),
            without_factors: link.without_factors,
            entry: self.entry(&account, "password.reset", Some(from)),
        };
        let changed = self.0.store.change_password(change).await;
        match changed.map_err(store_failure)? {
            true => {
                self.notify(&account);
                Ok(ResetTarget::of(&account))
            }
            // It was used at the same time, or the password was changed.
            false => Err(invalid()),
        }
    }

    async fn find_link(
        self,
        token: &Secret,
        from: IpAddr,
    ) -> Result<(AccountRecord, ResetLinkRecord), Failure> {
        let inner = self.0;
        let (now, sign_ins) = (self.now(), &inner.limits.sign_ins);
        let attempt = sign_ins.begin(vec![address_key(from)], now).await?;
        let found = self.valid_link(token).await;
        if !matches!(found, Ok(None)) {
            sign_ins.refund(attempt).await;
        }
        found?.ok_or_else(invalid)
    }

    async fn valid_link(
        self,
        token: &Secret,
    ) -> Result<Option<(AccountRecord, ResetLinkRecord)>, Failure> {
        if token.expose().len() > MAX_TOKEN_BYTES {
            return Ok(None);
        }
        let store = &self.0.store;
        let found = store.reset_link(&TokenHash::of(token), self.now()).await;
        let Some(link) = found.map_err(store_failure)? else {
            return Ok(None);
        };
        let account = store.account(link.holder).await.map_err(store_failure)?;
        let account = account.filter(|a| proof(&a.password_hash) == link.proof);
        Ok(account.map(|account| (account, link)))
    }
}
