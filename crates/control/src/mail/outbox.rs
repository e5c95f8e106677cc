//! The outbox, for operators.

use super::{DeliveryError, Mail, sender};
use crate::failures::store_failure;
use domain::{
    ErrorCode, Failure, MailAddress, Message, OperatorScope, OwnerScope, SupportScope,
    view::MailRow,
};
use std::time::Duration;
use store::AuditEntry;

/// How long a mail that is sent again may wait: a day.
const RETRY_MILLIS: i64 = 86_400_000;
/// How long a test waits for the server.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

impl Mail<'_> {
    /// Returns at most `limit` mails, the newest first, from before the one with the id
    /// `before`.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn outbox(
        self,
        _operator: &OperatorScope,
        before: i64,
        limit: u32,
    ) -> Result<Vec<MailRow>, Failure> {
        let mails = self.0.store.mails(before, limit).await;
        mails.map_err(store_failure)
    }

    /// Does what [`Self::outbox`] does, without the mails that were sent.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn unsent(
        self,
        _operator: &OperatorScope,
        before: i64,
        limit: u32,
    ) -> Result<Vec<MailRow>, Failure> {
        let mails = self.0.store.unsent_mails(before, limit).await;
        mails.map_err(store_failure)
    }

    /// Removes a mail that was not sent, also where mail is not set up any more.
    ///
    /// # Errors
    /// `NotFound` where it was sent or removed.
    pub async fn discard(self, operator: &OwnerScope, id: i64) -> Result<(), Failure> {
        let entry = self.entry(operator, "mail.discard", id.to_string());
        let discarded = self.0.store.discard_mail(id, entry).await;
        discarded.map_err(store_failure)
    }

    /// Sends a mail again that was given up, or one that waits now.
    ///
    /// # Errors
    /// `NotFound` where it was sent, or its link is over; `MailUnavailable`.
    pub async fn retry(self, operator: &SupportScope, id: i64) -> Result<(), Failure> {
        self.setup()?;
        let now = self.0.clock.now();
        let entry = self.entry(operator, "mail.retry", id.to_string());
        let expires = now.plus_millis(RETRY_MILLIS);
        let retried = self.0.store.retry_mail(id, now, expires, entry).await;
        retried.map_err(store_failure)
    }

    /// Sends a mail to an address now, past the outbox. Returns what the server said.
    ///
    /// # Errors
    /// `MailAddressMalformed` at the address; `MailUnavailable` with what the server said.
    pub async fn test(self, operator: &OwnerScope, address: &str) -> Result<String, Failure> {
        let setup = self.setup()?;
        let recipient = MailAddress::parse(address)?;
        let entry = self.entry(operator, "mail.test", recipient.to_string());
        self.0.store.audit(entry).await.map_err(store_failure)?;
        let now = self.0.clock.now();
        let mail = sender::test_mail(&self.0.settings.base_url, recipient, now);
        let sending = tokio::time::timeout(TEST_TIMEOUT, setup.transport.send(&mail)).await;
        let sent = sending.unwrap_or_else(|_| {
            let answer = "it did not answer within a minute".to_owned();
            Err(DeliveryError::Temporary(answer))
        });
        match sent {
            Ok(answer) => Ok(sender::cut(&answer)),
            Err(error) => Err(Failure::new(
                ErrorCode::MailUnavailable,
                Message::MailNotTaken {
                    answer: sender::cut(error.answer()),
                },
            )),
        }
    }

    fn entry(self, operator: &OperatorScope, action: &str, object: String) -> AuditEntry {
        AuditEntry {
            at: self.0.clock.now(),
            actor: operator.actor(),
            action: action.to_owned(),
            object,
            origin: operator.origin().to_owned(),
            ..AuditEntry::default()
        }
    }
}
