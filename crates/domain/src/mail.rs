//! Mail: addresses, and what there is to write to whom. A mail is its kind with arguments, as a
//! row of the outbox holds it; the messages that it consists of are rendered by `texts`.

use crate::{code::ErrorCode, failure::Failure, failure::Field, message::Message};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3 less the angle brackets).
pub const MAX_ADDRESS_BYTES: usize = 254;
/// The longest part before the `@`, in bytes (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// The longest label of a domain, in bytes (RFC 1035, 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// An address of the form `dot-atom@domain` (RFC 5322, 3.4.1) in ASCII. It contains no space, no
/// line break, no quote and no bracket, so it can be no other header and no second recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MailAddress(String);

impl MailAddress {
    /// Parses an address, with spaces around it. The domain becomes lower case.
    ///
    /// # Errors
    /// `MailAddressMalformed` at the field `Mail`. A name or domain in other letters than ASCII is
    /// refused with a message of its own.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let refused = |message| Failure::at(Field::Mail, ErrorCode::MailAddressMalformed, message);
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(refused(Message::MailAddressTooLong {
                most: MAX_ADDRESS_BYTES as u64,
            }));
        }
        if !text.is_ascii() {
            return Err(refused(Message::MailAddressNotAscii));
        }
        let parts = text.rsplit_once('@');
        let valid = parts.filter(|(local, domain)| is_local(local) && is_domain(domain));
        let (local, domain) = valid.ok_or_else(|| refused(Message::MailAddressMalformed))?;
        Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }

    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the domain, in lower case.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether a text is a dot-atom (RFC 5322, 3.2.3).
fn is_local(text: &str) -> bool {
    let is_atext = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c);
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
    text.len() <= MAX_LOCAL_BYTES && text.split('.').all(is_atom)
}

/// Returns whether a text is a domain of letters, digits and inner hyphens. It may have one label
/// only: a mail server in the own network may have such a name.
fn is_domain(text: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL_BYTES
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.split('.').all(is_label)
}

/// A change of what protects an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountChange {
    Password,
    FactorAdded,
    FactorRemoved,
    RecoveryCodes,
    TokenMade,
}

impl AccountChange {
    fn message(self) -> Message {
        match self {
            Self::Password => Message::MailChangedPassword,
            Self::FactorAdded => Message::MailChangedFactorAdded,
            Self::FactorRemoved => Message::MailChangedFactorRemoved,
            Self::RecoveryCodes => Message::MailChangedRecoveryCodes,
            Self::TokenMade => Message::MailChangedTokenMade,
        }
    }
}

/// What a mail says. A link is not part of it: its token is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MailContent {
    /// Asks whether the address is the account's; with a link.
    Verify,
    /// A link to a new password.
    Reset,
    /// Tells the former address that the account's mail is to go to another one, or nowhere.
    AddressChange {
        /// The new address; `None` where there is none any more.
        to: Option<String>,
    },
    /// A sign-in from a browser that the account did not know.
    SignIn {
        /// The browser and system; empty where not known.
        client: String,
        /// The prefix of the address.
        origin: String,
    },
    /// What protects the account was changed.
    Change {
        change: AccountChange,
        /// The prefix of the address that it came from; empty where there is none.
        origin: String,
    },
    /// So much of the month's data is used.
    QuotaWarned { percent: u64 },
    /// The month's data are used up.
    QuotaReached,
    /// Shows that mail works.
    Test,
}

/// What a mail's link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailLink {
    Verify,
    Reset,
}

/// The messages of a mail in their order; the link is between `before` and `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailMessages {
    pub subject: Message,
    pub before: Vec<Message>,
    pub after: Vec<Message>,
}

impl MailContent {
    /// Returns the kind's name, for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::AddressChange { .. } => "address-change",
            Self::SignIn { .. } => "sign-in",
            Self::Change { .. } => "change",
            Self::QuotaWarned { .. } => "quota-warned",
            Self::QuotaReached => "quota-reached",
            Self::Test => "test",
        }
    }

    /// Returns what its link leads to, if it has one.
    pub const fn link(&self) -> Option<MailLink> {
        match self {
            Self::Verify => Some(MailLink::Verify),
            Self::Reset => Some(MailLink::Reset),
            _ => None,
        }
    }

    /// Returns the messages for the account of that name.
    pub fn messages(&self, name: &str) -> MailMessages {
        let name = || name.to_owned();
        let (subject, text, after) = match self {
            Self::Verify => (
                Message::MailVerifySubject { name: name() },
                Message::MailVerifyText { name: name() },
                vec![Message::MailVerifyEnd],
            ),
            Self::Reset => (
                Message::MailResetSubject { name: name() },
                Message::MailResetText { name: name() },
                vec![Message::MailResetEnd],
            ),
            Self::AddressChange { to } => (
                Message::MailAddressSubject { name: name() },
                match to {
                    Some(address) => Message::MailAddressText {
                        name: name(),
                        address: address.clone(),
                    },
                    None => Message::MailAddressRemoved { name: name() },
                },
                vec![Message::MailNotYou],
            ),
            Self::SignIn { client, origin } => (
                Message::MailSignInSubject { name: name() },
                match client.as_str() {
                    "" => Message::MailSignInUnknown {
                        name: name(),
                        origin: origin.clone(),
                    },
                    client => Message::MailSignInText {
                        name: name(),
                        client: client.to_owned(),
                        origin: origin.clone(),
                    },
                },
                vec![Message::MailNotYou],
            ),
            Self::Change { change, origin } => (
                Message::MailChangeSubject { name: name() },
                match origin.as_str() {
                    "" => Message::MailChangeUnknown {
                        name: name(),
                        change: Box::new(change.message()),
                    },
                    origin => Message::MailChangeText {
                        name: name(),
                        change: Box::new(change.message()),
                        origin: origin.to_owned(),
                    },
                },
                vec![Message::MailNotYou],
            ),
            Self::QuotaWarned { percent } => (
                Message::MailQuotaWarnedSubject {
                    name: name(),
                    percent: *percent,
                },
                Message::MailQuotaWarnedText {
                    name: name(),
                    percent: *percent,
                },
                vec![Message::MailQuotaEnd],
            ),
            Self::QuotaReached => (
                Message::MailQuotaReachedSubject { name: name() },
                Message::MailQuotaReachedText { name: name() },
                vec![Message::MailQuotaEnd],
            ),
            Self::Test => (Message::MailTestSubject, Message::MailTestText, Vec::new()),
        };
        MailMessages {
            subject,
            before: vec![text],
            after,
        }
    }
}

/// What becomes of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailState {
    /// It is sent, or tried again, when its time has come.
    Waiting,
    /// A server has taken it.
    Sent,
    /// It was given up.
    Failed,
}

impl MailState {
    /// Returns the name in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// Returns the state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Waiting, Self::Sent, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

#[cfg(test)]
mod tests;
