//! A domain name, as host names are written.

use std::fmt;

/// Any class (RFC 2136, 2.5.2).
pub(crate) const CLASS_ANY: u16 = 255;

/// The most characters of a name without the dot at its end (RFC 1035, 2.3.4).
const MAX_NAME: usize = 253;
/// The most characters of a label.
const MAX_LABEL: usize = 63;

/// A domain name of at least one label, in lower case and without the dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// Parses a name. A dot at the end and capital letters make no difference. Labels have
    /// letters, digits, hyphens and underscores; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > MAX_NAME {
            return None;
        }
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        let is_label =
            |label: &str| (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(is_plain);
        let is_name = name.split('.').all(is_label);
        is_name.then(|| Self(name.to_ascii_lowercase()))
    }

    /// Returns the name as text, without a dot at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it is that name or one below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        let above = self.0.strip_suffix(zone.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }

    /// Appends the name as it is in a message, without compression.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for label in self.0.split('.') {
            // A label has 63 characters at most.
            out.push(u8::try_from(label.len()).unwrap_or(0));
            out.extend_from_slice(label.as_bytes());
        }
        out.push(0);
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_written() {
        let name = DnsName::parse("Lina-VPN.Example.org.").unwrap();
        assert_eq!(name.as_str(), "lina-vpn.example.org");
        let mut out = Vec::new();
        name.write(&mut out);
        assert_eq!(out, b"\x08lina-vpn\x07example\x03org\0");
        let (long, label) = ("a.".repeat(128), "a".repeat(64));
        for bad in ["", ".", "a..b", "a b", "ü.example", &long, &label, "a\\.b"] {
            assert_eq!(DnsName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_is_within_its_zone_and_no_other() {
        let name = |text| DnsName::parse(text).unwrap();
        let zone = name("example.org");
        assert!(name("a.example.org").is_within(&zone) && zone.is_within(&zone));
        assert!(!name("anexample.org").is_within(&zone));
        assert!(!name("org").is_within(&zone));
    }
}
