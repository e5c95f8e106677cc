//! The port through which mail leaves: a server, or in tests a fake one. What is rendered, and in
//! which language, is the transport's concern.

use async_trait::async_trait;
use domain::{MailAddress, MailContent, Secret};
use std::{fmt, sync::Arc};

/// A mail as it is handed to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMail {
    /// The same at every try: `17.1764300000000@example.org`, without angle brackets.
    pub message_id: String,
    pub recipient: MailAddress,
    pub content: MailContent,
    /// The name of the account that it is about; empty for a test.
    pub name: String,
    /// The address of the page that its link opens.
    pub link: Option<Secret>,
    /// Where the installation is, e.g. `vpn.example.org`.
    pub host: String,
}

/// Why a server did not take a mail. The texts are the server's, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryError {
    /// Another try may succeed: the server is away, or busy.
    Temporary(String),
    /// No other try of this mail will: the recipient is refused.
    Permanent(String),
}

impl DeliveryError {
    /// Returns what the server said.
    pub fn answer(&self) -> &str {
        match self {
            Self::Temporary(answer) | Self::Permanent(answer) => answer,
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.answer())
    }
}

impl std::error::Error for DeliveryError {}

/// Hands mail to a server.
#[async_trait]
pub trait MailTransport: Send + Sync {
    /// Hands a mail over. Returns what the server said. The core gives it up after a minute.
    ///
    /// # Errors
    /// What the server said, or why it could not be asked.
    async fn send(&self, mail: &OutgoingMail) -> Result<String, DeliveryError>;
}

/// How an installation sends mail.
#[derive(Clone)]
pub struct MailSetup {
    pub transport: Arc<dyn MailTransport>,
    /// The most mails in an hour; more wait.
    pub per_hour: u32,
}
