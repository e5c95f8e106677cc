//! Mail, where an operator has set it up: the addresses of accounts, what is sent to them, and the
//! outbox. Where it is not set up nothing is queued, and nothing of it is shown.

mod addresses;
mod forgot;
mod outbox;
mod sender;
mod transport;

pub(crate) use sender::run_mail;
pub use transport::{DeliveryError, MailSetup, MailTransport, OutgoingMail};

use crate::inner::Inner;
use domain::{ErrorCode, Failure, Message};

/// The handle on mail.
#[derive(Clone, Copy)]
pub struct Mail<'a>(pub(crate) &'a Inner);

impl Mail<'_> {
    /// Returns whether this installation sends mail.
    pub fn is_set_up(self) -> bool {
        self.0.mail.is_some()
    }

    /// Returns how mail is sent.
    ///
    /// # Errors
    /// `MailUnavailable`.
    fn setup(&self) -> Result<&MailSetup, Failure> {
        let setup = self.0.mail.as_ref();
        setup.ok_or_else(|| Failure::new(ErrorCode::MailUnavailable, Message::MailNotSetUp))
    }
}
