//! A tenant's name, which is a DNS label and public.

use crate::{
    code::ErrorCode,
    failure::{Failure, Field},
    message::Message,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names that could be mistaken for a part of the installation itself.
const RESERVED: &[&str] = &[
    "abuse",
    "account",
    "acme",
    "admin",
    "administrator",
    "adguard",
    "adguardhome",
    "api",
    "app",
    "assets",
    "auth",
    "autoconfig",
    "autodiscover",
    "billing",
    "blog",
    "broadcasthost",
    "cdn",
    "console",
    "dashboard",
    "demo",
    "dev",
    "dns",
    "docs",
    "download",
    "email",
    "example",
    "ftp",
    "gateway",
    "git",
    "help",
    "host",
    "hostmaster",
    "imap",
    "info",
    "internal",
    "isatap",
    "localdomain",
    "localhost",
    "login",
    "mail",
    "maliknode",
    "metrics",
    "mesh",
    "monitor",
    "mta",
    "mta-sts",
    "news",
    "node",
    "noc",
    "noreply",
    "operator",
    "pkg",
    "pop",
    "pop3",
    "postmaster",
    "private",
    "root",
    "security",
    "server",
    "signin",
    "signup",
    "smtp",
    "ssl",
    "ssladmin",
    "sslwebmaster",
    "staff",
    "staging",
    "static",
    "stats",
    "status",
    "support",
    "sysadmin",
    "system",
    "test",
    "tls",
    "usenet",
    "vpn",
    "webmail",
    "webmaster",
    "wpad",
    "www",
    "worker",
];

/// The rule that a text breaks which is not a tenant's name. A type of its own, and
/// small: the browser checks names too, and has no use for every [`Message`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name is empty")]
    Empty,
    #[error("the name is longer than 32 characters")]
    TooLong,
    #[error("the name is shorter than 3 characters")]
    TooShort,
    #[error("the name has other characters than a to z, 0 to 9 and hyphens")]
    Characters,
    #[error("the name begins or ends with a hyphen")]
    Hyphen,
    #[error("the name has two hyphens in third place")]
    ThirdHyphens,
    #[error("the name {0} is reserved")]
    Reserved(String),
}

impl NameError {
    /// Returns what to say to the person who typed the name.
    pub fn message(&self) -> Message {
        match self {
            Self::Empty => Message::NameEmpty,
            Self::TooLong => Message::NameTooLong,
            Self::TooShort => Message::NameTooShort,
            Self::Characters => Message::NameCharacters,
            Self::Hyphen => Message::NameHyphen,
            Self::ThirdHyphens => Message::NameThirdHyphens,
            Self::Reserved(name) => Message::NameReserved { name: name.clone() },
        }
    }

    /// Returns [`ErrorCode::NameMalformed`] or [`ErrorCode::NameReserved`].
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Reserved(_) => ErrorCode::NameReserved,
            _ => ErrorCode::NameMalformed,
        }
    }
}

impl From<NameError> for Failure {
    fn from(e: NameError) -> Self {
        Self::at(Field::Name, e.code(), e.message())
    }
}

/// A tenant's name: it is the subdomain and the user name, and part of the names
/// of the tenant's container and folder.
///
/// It has 3 to 32 characters of a-z, 0-9 and inner hyphens, is not reserved, does
/// not end in `-dns` (the suffix of the tenant's AdGuard Home) and does not have
/// the form `??--*` (RFC 5891, 4.2.3.1: reserved for encodings such as punycode).
/// Therefore it is safe in a path, a host name and a log line without quoting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantName(String);

impl TenantName {
    /// The fewest characters.
    pub const MIN: usize = 3;
    /// The most characters; with `-dns` the name still fits a DNS label (63).
    pub const MAX: usize = 32;

    /// The suffix of the name of a tenant's endpoint. A new tenant's name does not end so; an
    /// older one's may.
    pub const ENDPOINT_SUFFIX: &str = "-vpn";

    /// The prefix of the names of AdGuard Home containers.
    pub const CONTAINER_PREFIX: &str = "adguard_user_";
    /// The prefix of the names of tenants' folders.
    pub const FOLDER_PREFIX: &str = "user_";

    /// Parses user input. Capital letters are lowered, because DNS ignores case,
    /// and surrounding blanks are removed.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(typed: &str) -> Result<Self, NameError> {
        let name = typed.trim();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        // The length is checked first, so that nothing below scans 10 MB of input.
        if name.len() > Self::MAX {
            return Err(NameError::TooLong);
        }
        let name = name.to_ascii_lowercase();
        if name.len() < Self::MIN {
            return Err(NameError::TooShort);
        }
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !name.bytes().all(allowed) {
            return Err(NameError::Characters);
        }
        if name.starts_with('-') || name.ends_with('-') {
            return Err(NameError::Hyphen);
        }
        if name.as_bytes()[2..].starts_with(b"--") {
            return Err(NameError::ThirdHyphens);
        }
        if name.ends_with("-dns") || RESERVED.contains(&name.as_str()) {
            return Err(NameError::Reserved(name));
        }
        Ok(Self(name))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the tenant's AdGuard Home container.
    pub fn container(&self) -> String {
        format!("{}{}", Self::CONTAINER_PREFIX, self.0)
    }

    /// Returns the name of the tenant's folder below `users/`.
    pub fn folder(&self) -> String {
        format!("{}{}", Self::FOLDER_PREFIX, self.0)
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TenantName {
    type Error = NameError;
    fn try_from(s: String) -> Result<Self, NameError> {
        Self::parse(&s)
    }
}

impl From<TenantName> for String {
    fn from(n: TenantName) -> String {
        n.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_names_are_accepted_and_lowered() {
        for (typed, name) in [
            ("abcd", "abcd"),
            (" Lina ", "lina"),
            ("studio-k", "studio-k"),
            ("a1-", ""),
        ] {
            assert_eq!(
                TenantName::parse(typed)
                    .map(String::from)
                    .unwrap_or_default(),
                name
            );
        }
    }

    #[test]
    fn bad_names_are_malformed_or_reserved() {
        for bad in [
            "", "ab", "-abc", "abc-", "a b c", "ümlaut", "a.b.c", "xn--abc", "a_b", "../etc",
        ] {
            assert_eq!(
                TenantName::parse(bad).unwrap_err().code(),
                ErrorCode::NameMalformed,
                "{bad}"
            );
        }
        assert_eq!(
            TenantName::parse(&"a".repeat(33)).unwrap_err().code(),
            ErrorCode::NameMalformed
        );
        for reserved in ["admin", "API", "lina-dns", "www"] {
            assert_eq!(
                TenantName::parse(reserved).unwrap_err().code(),
                ErrorCode::NameReserved
            );
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_a_safe_dns_label(s in ".{0,40}") {
            if let Ok(n) = TenantName::parse(&s) {
                let n = n.as_str();
                prop_assert!((3..=32).contains(&n.len()));
                prop_assert!(n.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'));
                prop_assert!(!n.starts_with('-') && !n.ends_with('-') && !n.ends_with("-dns"));
            }
        }
    }
}
