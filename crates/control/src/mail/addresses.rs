//! The mail address of the own account.

use super::Mail;
use crate::{
    account::Account,
    auth::{AccountScope, address_key},
    failures::store_failure,
};
use domain::{ErrorCode, Failure, Field, MailAddress, Message, Secret, view::MailView};
use std::net::IpAddr;
use store::{AccountRecord, AuditEntry, FirstMailAddress, NewMailAddress, TicketHolder, TokenHash};

/// How long a link that verifies an address is valid: a day.
const LINK_MILLIS: i64 = 86_400_000;
/// The longest token that is looked up, in bytes.
const MAX_TOKEN_BYTES: usize = 64;

impl Mail<'_> {
    /// Returns the account's address; `None` where this installation sends no mail.
    ///
    /// # Errors
    /// `SignedOut`, `DatabaseUnavailable`.
    pub async fn address(self, scope: &AccountScope) -> Result<Option<MailView>, Failure> {
        if !self.is_set_up() {
            return Ok(None);
        }
        let account = Account(self.0).record(scope).await?;
        let settings = self.0.store.mail_settings(account.holder).await;
        let settings = settings.map_err(store_failure)?;
        Ok(Some(MailView {
            address: settings.address,
            pending: settings.pending,
            quota_warnings: settings.quota_warnings,
            is_tenant: matches!(account.holder, TicketHolder::Tenant(_)),
        }))
    }

    /// Asks an address whether it is the account's: it gets a link, and is the account's once
    /// that was opened. The present one is told, and stays until then.
    ///
    /// # Errors
    /// `PresenceNeeded`; `MailAddressMalformed` at the address, also for the present one;
    /// `MailUnavailable`; `TooManyTries`.
    pub async fn set_address(
        self,
        scope: &AccountScope,
        address: &str,
        from: IpAddr,
    ) -> Result<(), Failure> {
        self.setup()?;
        let handle = Account(self.0);
        let account = handle.present(scope).await?;
        let address = MailAddress::parse(address)?;
        let settings = self.0.store.mail_settings(account.holder).await;
        let settings = settings.map_err(store_failure)?;
        if settings.address.as_deref() == Some(address.as_str()) {
            let code = ErrorCode::MailAddressMalformed;
            return Err(Failure::at(Field::Mail, code, Message::MailAddressSame));
        }
        self.count_links(&account).await?;
        let entry = AuditEntry {
            before: settings.address.unwrap_or_default(),
            after: address.to_string(),
            ..handle.entry(&account, "mail.ask", Some(from))
        };
        self.ask(account.holder, &address, entry).await
    }

    /// Returns the address that was given at a sign-up with the token of its link, which are
    /// stored with the account.
    ///
    /// # Errors
    /// `Internal`: the system has no random numbers.
    pub(crate) fn first_address(
        self,
        address: Option<MailAddress>,
    ) -> Result<Option<FirstMailAddress>, Failure> {
        let Some(address) = address else {
            return Ok(None);
        };
        Ok(Some(FirstMailAddress {
            address,
            token: self.0.entropy.token()?,
            expires: self.0.clock.now().plus_millis(LINK_MILLIS),
        }))
    }

    async fn ask(
        self,
        holder: TicketHolder,
        address: &MailAddress,
        entry: AuditEntry,
    ) -> Result<(), Failure> {
        let (token, now) = (self.0.entropy.token()?, self.0.clock.now());
        let new = NewMailAddress {
            holder,
            address,
            token: &token,
            expires: now.plus_millis(LINK_MILLIS),
            now,
        };
        let asked = self.0.store.ask_mail_address(new, entry).await;
        match asked.map_err(store_failure)? {
            true => Ok(()),
            // As many as an address gets in an hour.
            false => Err(Failure::new(
                ErrorCode::TooManyTries,
                Message::TooManyTriesMinutes { minutes: 60 },
            )),
        }
    }

    /// Counts a link to an address that may be another's.
    async fn count_links(self, account: &AccountRecord) -> Result<(), Failure> {
        let key = match account.holder {
            TicketHolder::Tenant(id) => format!("tenant {id}"),
            TicketHolder::Operator(id) => format!("operator {}", id.0),
        };
        let links = &self.0.limits.mail_links;
        links.begin(vec![key], self.0.clock.now()).await.map(drop)
    }

    /// Returns the account's name and the address that a link verifies. Nothing is used up.
    /// Wrong links are counted as wrong passwords are.
    ///
    /// # Errors
    /// `MailLinkInvalid`, `TooManyTries`, `DatabaseUnavailable`.
    pub async fn link_target(
        self,
        token: &Secret,
        from: IpAddr,
    ) -> Result<(String, String), Failure> {
        let (account, address) = self.find_link(token, from).await?;
        Ok((account.name, address))
    }

    /// Makes the address of a link the account's. The link is used up. No sign-in is needed:
    /// the holder of the link reads the mail of that address.
    ///
    /// # Errors
    /// `MailLinkInvalid`, `TooManyTries`, `DatabaseUnavailable`.
    pub async fn verify(self, token: &Secret, from: IpAddr) -> Result<String, Failure> {
        let (account, address) = self.find_link(token, from).await?;
        let entry = AuditEntry {
            after: address.clone(),
            ..Account(self.0).entry(&account, "mail.verify", Some(from))
        };
        let (hash, now) = (TokenHash::of(token), self.0.clock.now());
        let verified = self.0.store.verify_mail_address(&hash, now, entry).await;
        match verified.map_err(store_failure)? {
            true => Ok(address),
            // It was used at the same time.
            false => Err(invalid()),
        }
    }

    async fn find_link(
        self,
        token: &Secret,
        from: IpAddr,
    ) -> Result<(AccountRecord, String), Failure> {
        let sign_ins = &self.0.limits.sign_ins;
        let now = self.0.clock.now();
        let attempt = sign_ins.begin(vec![address_key(from)], now).await?;
        let found = self.valid_link(token).await;
        if !matches!(found, Ok(None)) {
            sign_ins.refund(attempt).await;
        }
        found?.ok_or_else(invalid)
    }

    async fn valid_link(self, token: &Secret) -> Result<Option<(AccountRecord, String)>, Failure> {
        if token.expose().len() > MAX_TOKEN_BYTES {
            return Ok(None);
        }
        let (store, now) = (&self.0.store, self.0.clock.now());
        let found = store.pending_mail_address(&TokenHash::of(token), now).await;
        let Some(pending) = found.map_err(store_failure)? else {
            return Ok(None);
        };
        let account = store.account(pending.holder).await.map_err(store_failure)?;
        Ok(account.map(|account| (account, pending.address)))
    }

    /// Removes the account's address, which is told. Nothing is sent to it from then on.
    ///
    /// # Errors
    /// `PresenceNeeded`, `MailUnavailable`, `DatabaseUnavailable`.
    pub async fn remove_address(self, scope: &AccountScope, from: IpAddr) -> Result<(), Failure> {
        self.setup()?;
        let handle = Account(self.0);
        let account = handle.present(scope).await?;
        let settings = self.0.store.mail_settings(account.holder).await;
        let settings = settings.map_err(store_failure)?;
        let entry = AuditEntry {
            before: settings.address.unwrap_or_default(),
            ..handle.entry(&account, "mail.remove", Some(from))
        };
        let now = self.0.clock.now();
        let removed = self.0.store.remove_mail_address(account.holder, now, entry);
        removed.await.map_err(store_failure)
    }

    /// Switches the warnings of the month's data on or off.
    ///
    /// # Errors
    /// `NotFound` where the account has no address; `MailUnavailable`.
    pub async fn set_quota_warnings(
        self,
        scope: &AccountScope,
        is_on: bool,
        from: IpAddr,
    ) -> Result<(), Failure> {
        self.setup()?;
        let handle = Account(self.0);
        let account = handle.record(scope).await?;
        handle.count_change(&account)?;
        let word = |on: bool| if on { "on" } else { "off" }.to_owned();
        let entry = AuditEntry {
            before: word(!is_on),
            after: word(is_on),
            ..handle.entry(&account, "mail.warnings", Some(from))
        };
        let set = self
            .0
            .store
            .set_quota_warnings(account.holder, is_on, entry);
        set.await.map_err(store_failure)
    }
}

fn invalid() -> Failure {
    Failure::new(ErrorCode::MailLinkInvalid, Message::MailLinkInvalid)
}
