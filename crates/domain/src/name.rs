//! The two names people type: a tenant's (a DNS label, shown to the world) and
//! a device's label (free text, shown to its tenant only).

use crate::failure::{ErrorCode, Failure, Field};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names that would be mistaken for a part of the installation itself.
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

/// A tenant's name: subdomain, user name, part of the container's name and of
/// a folder's.
///
/// 3 to 32 of a-z, 0-9 and inner hyphens, not reserved, not ending in `-dns`
/// (that suffix is the tenant's AdGuard Home), not of the form `??--*` (RFC
/// 5891, 4.2.3.1: kept for encodings such as punycode). Being so narrow, it is
/// safe in a path, a host name and a log line without quoting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantName(String);

impl TenantName {
    /// Fewest characters.
    pub const MIN: usize = 3;
    /// Most characters: with `-dns` it still fits a DNS label (63).
    pub const MAX: usize = 32;

    /// How the name of a tenant's AdGuard Home container begins.
    pub const CONTAINER_PREFIX: &str = "adguard_user_";
    /// How the name of a tenant's folder begins.
    pub const FOLDER_PREFIX: &str = "user_";

    /// Checks what a person typed. Capital letters and outer blanks are
    /// forgiven, as DNS itself does not tell capitals apart.
    ///
    /// # Errors
    /// [`ErrorCode::NameMalformed`] or [`ErrorCode::NameReserved`].
    pub fn parse(typed: &str) -> Result<Self, Failure> {
        let malformed =
            |sentence: &str| Err(Failure::at(Field::Name, ErrorCode::NameMalformed, sentence));
        let name = typed.trim();
        if name.is_empty() {
            return malformed("Choose a name: it becomes your address.");
        }
        // Length first: nothing below should walk over 10 MB of somebody's input.
        if name.len() > Self::MAX {
            return malformed("That name is too long: 32 characters at most.");
        }
        let name = name.to_ascii_lowercase();
        if name.len() < Self::MIN {
            return malformed("That name is too short: 3 characters at least.");
        }
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !name.bytes().all(allowed) {
            return malformed("Use the letters a to z, digits and hyphens only.");
        }
        if name.starts_with('-') || name.ends_with('-') {
            return malformed("A name cannot begin or end with a hyphen.");
        }
        if name.as_bytes()[2..].starts_with(b"--") {
            return malformed("Two hyphens in third place are reserved on the internet.");
        }
        if name.ends_with("-dns") || RESERVED.contains(&name.as_str()) {
            return Err(Failure::at(
                Field::Name,
                ErrorCode::NameReserved,
                format!("“{name}” is reserved. Choose another name."),
            ));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the tenant's AdGuard Home container.
    pub fn container(&self) -> String {
        format!("{}{}", Self::CONTAINER_PREFIX, self.0)
    }

    /// The tenant's folder below `users/`.
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
    type Error = Failure;
    fn try_from(s: String) -> Result<Self, Failure> {
        Self::parse(&s)
    }
}

impl From<TenantName> for String {
    fn from(n: TenantName) -> String {
        n.0
    }
}

/// What a tenant calls a device: "My phone", "Wohnzimmer", "书房".
///
/// 1 to 64 characters of any script, without control characters and without
/// the invisible ones that turn text around or hide it (a label is read in
/// tables, in file names and in AdGuard Home).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceLabel(String);

impl DeviceLabel {
    /// Most characters (Unicode scalar values).
    pub const MAX: usize = 64;

    /// Checks what a person typed; outer blanks are dropped, inner runs of
    /// blanks become one.
    ///
    /// # Errors
    /// [`ErrorCode::LabelMalformed`].
    pub fn parse(typed: &str) -> Result<Self, Failure> {
        let malformed = |s: &str| Err(Failure::at(Field::Label, ErrorCode::LabelMalformed, s));
        // A character takes at most four bytes: anything longer is refused unread.
        if typed.len() > Self::MAX * 8 {
            return malformed("That label is too long: 64 characters at most.");
        }
        let label = typed.split_whitespace().collect::<Vec<_>>().join(" ");
        if typed.chars().any(char::is_control) {
            return malformed("A label cannot hold line breaks or control characters.");
        }
        if label.is_empty() {
            return malformed("Give the device a label, for example “My phone”.");
        }
        if label.chars().count() > Self::MAX {
            return malformed("That label is too long: 64 characters at most.");
        }
        let selectors = label.chars().all(|c| is_selector(c) || c == ' ');
        if selectors || label.chars().any(is_invisible) {
            return malformed("A label cannot hold invisible characters.");
        }
        Ok(Self(label))
    }

    /// A label as the database has it, which was taken under the rules of its
    /// day: what they let through and [`DeviceLabel::parse`] does not is left
    /// out, so that no old row makes the whole unreadable.
    pub fn stored(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| {
            let blank = |c: char| if c.is_control() { ' ' } else { c };
            let seen = text.chars().filter(|c| !is_invisible(*c)).map(blank);
            let left: String = seen.take(Self::MAX).collect();
            Self::parse(&left).unwrap_or_else(|_| Self("device".to_owned()))
        })
    }

    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same label for comparing: "Phone" and "phone" are one device to a
    /// person, so they are one label to us.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// A name for the downloaded configuration that WireGuard's own programs
    /// take for an interface: 1 to 15 of `a-zA-Z0-9_=+.-` (`wg-quick(8)`).
    pub fn file_stem(&self) -> String {
        let mut out = String::with_capacity(15);
        for c in self.0.chars() {
            if out.len() == 15 {
                break;
            }
            if c.is_ascii_alphanumeric() {
                out.push(c.to_ascii_lowercase());
            } else if !out.is_empty() && !out.ends_with('-') {
                out.push('-');
            }
        }
        let out = out.trim_end_matches('-');
        if out.is_empty() {
            "device".to_owned()
        } else {
            out.to_owned()
        }
    }
}

/// Characters that turn text around or hide it: Unicode's `Bidi_Control` and
/// `Default_Ignorable_Code_Point` (PropList.txt, DerivedCoreProperties.txt) but
/// for [`is_selector`], line separators, annotations, and the Braille pattern
/// without a dot.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

/// Characters that choose how the one before them looks (an emoji, a Han or a
/// Mongolian letter) and are nothing alone.
fn is_selector(c: char) -> bool {
    matches!(c,
        '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0100}'..='\u{e01ef}')
}

impl fmt::Display for DeviceLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DeviceLabel {
    type Error = Failure;
    fn try_from(s: String) -> Result<Self, Failure> {
        Self::parse(&s)
    }
}

impl From<DeviceLabel> for String {
    fn from(n: DeviceLabel) -> String {
        n.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_names_are_taken_and_lowered() {
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
    fn bad_names_are_told_apart() {
        for bad in [
            "", "ab", "-abc", "abc-", "a b c", "ümlaut", "a.b.c", "xn--abc", "a_b", "../etc",
        ] {
            assert_eq!(
                TenantName::parse(bad).unwrap_err().code,
                ErrorCode::NameMalformed,
                "{bad}"
            );
        }
        assert_eq!(
            TenantName::parse(&"a".repeat(33)).unwrap_err().code,
            ErrorCode::NameMalformed
        );
        for reserved in ["admin", "API", "lina-dns", "www"] {
            assert_eq!(
                TenantName::parse(reserved).unwrap_err().code,
                ErrorCode::NameReserved
            );
        }
    }

    #[test]
    fn labels_of_control_characters_or_10_kb_are_refused() {
        for bad in ["", "   ", "a\nb", "a\0b", "a\u{202e}b", "\u{200b}"] {
            assert_eq!(
                DeviceLabel::parse(bad).unwrap_err().code,
                ErrorCode::LabelMalformed,
                "{bad:?}"
            );
        }
        assert!(DeviceLabel::parse(&"x".repeat(10_240)).is_err());
        assert_eq!(
            DeviceLabel::parse("  My   phone ").unwrap().as_str(),
            "My phone"
        );
        assert!(DeviceLabel::parse(&"书".repeat(64)).is_ok());
    }

    #[test]
    fn a_label_can_be_seen_and_turns_no_text_around() {
        for bad in [
            "Phone\u{61c}",
            "\u{ad}",
            "a\u{3164}b",
            "\u{2800}",
            "\u{fe0f}",
            "\u{fe0f} \u{e0100}",
            "x\u{e01f0}",
        ] {
            let e = DeviceLabel::parse(bad).unwrap_err();
            assert_eq!(e.code, ErrorCode::LabelMalformed, "{bad:?}");
        }
        for good in ["❤\u{fe0f}", "葛\u{e0100}", "לינה", "📱"] {
            assert!(DeviceLabel::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_stored_label_is_always_readable() {
        for (stored, read) in [
            ("My phone", "My phone"),
            ("My\u{ad} phone\u{61c}", "My phone"),
            ("\u{3164}", "device"),
            ("a\nb", "a b"),
            ("", "device"),
        ] {
            assert_eq!(DeviceLabel::stored(stored).as_str(), read, "{stored:?}");
        }
        assert_eq!(DeviceLabel::stored(&"x".repeat(1000)).as_str().len(), 64);
    }

    #[test]
    fn a_file_stem_is_an_interface_name() {
        for (label, stem) in [
            ("My phone", "my-phone"),
            ("书房", "device"),
            ("A very long label indeed", "a-very-long-lab"),
            ("--x--", "x"),
        ] {
            assert_eq!(DeviceLabel::parse(label).unwrap().file_stem(), stem);
        }
    }

    proptest! {
        #[test]
        fn any_accepted_name_is_a_safe_dns_label(s in ".{0,40}") {
            if let Ok(n) = TenantName::parse(&s) {
                let n = n.as_str();
                prop_assert!((3..=32).contains(&n.len()));
                prop_assert!(n.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'));
                prop_assert!(!n.starts_with('-') && !n.ends_with('-') && !n.ends_with("-dns"));
            }
        }

        #[test]
        fn any_label_has_a_file_stem_wg_quick_takes(s in "\\PC{1,64}") {
            if let Ok(l) = DeviceLabel::parse(&s) {
                let stem = l.file_stem();
                prop_assert!((1..=15).contains(&stem.len()));
                prop_assert!(stem.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'));
            }
        }
    }
}
