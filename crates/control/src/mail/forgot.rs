//! A link to a new password, by mail, for a name that is typed into a form. The answer is the same,
//! and takes as long, whether or not there is such an account, and whether or not it has an address.

use super::Mail;
use crate::{
    account::Account,
    auth::{address_key, proof},
    failures::store_failure,
};
use domain::{Failure, TenantName};
use std::{net::IpAddr, time::Duration};
use store::{AccountRecord, NewResetLink, TicketHolder, TokenHash};

/// How long a link is valid: an hour.
const LINK_MILLIS: i64 = 3_600_000;
/// How long the answer takes, however much there is to do.
const ANSWER_TIME: Duration = Duration::from_millis(400);
/// The longest name that is looked up, in bytes.
const MAX_NAME_BYTES: usize = 64;

impl Mail<'_> {
    /// Sends a link to a new password to the account's verified address. Nothing says whether
    /// one was sent.
    ///
    /// # Errors
    /// `TooManyTries` by the address of the client alone, `MailUnavailable`.
    pub async fn forgot_password(
        self,
        is_operator: bool,
        name: &str,
        from: IpAddr,
    ) -> Result<(), Failure> {
        self.setup()?;
        let now = self.0.clock.now();
        let by_address = &self.0.limits.forgotten;
        let _counted = by_address.begin(vec![address_key(from)], now).await?;
        let work = async {
            if let Err(failure) = self.send_link(is_operator, name, from).await {
                tracing::warn!(%failure, "a link to a new password was not sent");
            }
        };
        tokio::join!(work, tokio::time::sleep(ANSWER_TIME));
        Ok(())
    }

    async fn send_link(self, is_operator: bool, name: &str, from: IpAddr) -> Result<(), Failure> {
        let Some(account) = self.account_of(is_operator, name).await? else {
            return Ok(());
        };
        let key = match account.holder {
            TicketHolder::Tenant(id) => format!("tenant {id}"),
            TicketHolder::Operator(id) => format!("operator {}", id.0),
        };
        let now = self.0.clock.now();
        // A stranger must not fill a mailbox.
        if self
            .0
            .limits
            .reset_mails
            .begin(vec![key], now)
            .await
            .is_err()
        {
            return Ok(());
        }
        let token = self.0.entropy.token()?;
        let entry = Account(self.0).entry(&account, "password.reset-mail", Some(from));
        let (hash, proof) = (TokenHash::of(&token), proof(&account.password_hash));
        let created = self.0.store.create_reset_link(NewResetLink {
            holder: account.holder,
            token: &hash,
            proof: &proof,
            without_factors: false,
            expires: now.plus_millis(LINK_MILLIS),
            mailed: Some(&token),
            entry,
        });
        created.await.map(drop).map_err(store_failure)
    }

    async fn account_of(
        self,
        is_operator: bool,
        name: &str,
    ) -> Result<Option<AccountRecord>, Failure> {
        let (store, name) = (&self.0.store, name.trim());
        if name.len() > MAX_NAME_BYTES {
            return Ok(None);
        }
        if is_operator {
            let found = store.operator_by_name(name).await.map_err(store_failure)?;
            return Ok(found.map(|o| AccountRecord {
                holder: TicketHolder::Operator(o.id),
                name: o.name,
                password_hash: o.password_hash,
            }));
        }
        let Ok(name) = TenantName::parse(name) else {
            return Ok(None);
        };
        let found = store.tenant_by_name(&name).await.map_err(store_failure)?;
        Ok(found.map(|t| AccountRecord {
            holder: TicketHolder::Tenant(t.id),
            name: t.name.to_string(),
            password_hash: t.password_hash,
        }))
    }
}
