//! Renders mail and hands it to an SMTP server: the other side of `control::MailTransport`. No
//! other crate uses lettre.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod message;
mod server;
mod transport;

pub use server::{MailServer, Sender, SettingError};
pub use transport::{SmtpSettings, SmtpTransport};
