//! A device's label, which is free text that only its tenant sees.

use crate::code::ErrorCode;
use crate::failure::{Failure, Field};
use crate::message::Message;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A tenant's name for a device: "My phone", "Wohnzimmer", "书房".
///
/// It has 1 to 64 characters of any script, without control characters and
/// without invisible ones that reverse or hide text: labels appear in tables, in
/// file names and in AdGuard Home.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceLabel(String);

impl DeviceLabel {
    /// The most characters (Unicode scalar values).
    pub const MAX: usize = 64;

    /// Parses user input. Surrounding blanks are removed and inner runs of blanks
    /// become one.
    ///
    /// # Errors
    /// [`ErrorCode::LabelMalformed`] with the reason.
    pub fn parse(typed: &str) -> Result<Self, Failure> {
        let malformed = |m| Err(Failure::at(Field::Label, ErrorCode::LabelMalformed, m));
        // A character has at most four bytes, so a much longer input is rejected
        // without being scanned.
        if typed.len() > Self::MAX * 8 {
            return malformed(Message::LabelTooLong);
        }
        let label = typed.split_whitespace().collect::<Vec<_>>().join(" ");
        if typed.chars().any(char::is_control) {
            return malformed(Message::LabelControl);
        }
        if label.is_empty() {
            return malformed(Message::LabelEmpty);
        }
        if label.chars().count() > Self::MAX {
            return malformed(Message::LabelTooLong);
        }
        let selectors = label.chars().all(|c| is_selector(c) || c == ' ');
        if selectors || label.chars().any(is_invisible) {
            return malformed(Message::LabelInvisible);
        }
        Ok(Self(label))
    }

    /// Converts a label from the database, which may have been accepted by an older
    /// version's rules. Characters that [`DeviceLabel::parse`] would reject are
    /// left out, so that an old row cannot make a tenant's devices unreadable.
    pub fn stored(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| {
            let blank = |c: char| if c.is_control() { ' ' } else { c };
            let visible = text.chars().filter(|c| !is_invisible(*c)).map(blank);
            let left: String = visible.take(Self::MAX).collect();
            Self::parse(&left).unwrap_or_else(|_| Self("device".to_owned()))
        })
    }

    /// Returns the label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the label in the form in which labels are compared: "Phone" and
    /// "phone" count as the same label.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// Returns a name for the downloaded configuration, without its `.conf`: up to 11
    /// characters of the label, a hyphen, and `host`, the last number of the device's
    /// address. Two devices of a tenant have two numbers, so their names differ however
    /// alike their labels are. Every official program takes it as a tunnel's name: it is 1
    /// to 15 of `a-z0-9-` (`wg-quick(8)`, Android: 1 to 15 of `a-zA-Z0-9_=+.-`), and none
    /// that Windows or the kernel reserves, as those have no number behind a hyphen.
    pub fn file_stem(&self, host: u8) -> String {
        /// The characters that an interface's name has room for before `-254`.
        const MAX: usize = 11;
        let mut out = String::with_capacity(MAX + 4);
        for c in self.0.chars() {
            if out.len() == MAX {
                break;
            }
            if c.is_ascii_alphanumeric() {
                out.push(c.to_ascii_lowercase());
            } else if !out.is_empty() && !out.ends_with('-') {
                out.push('-');
            }
        }
        let out = out.trim_end_matches('-');
        let out = if out.is_empty() { "device" } else { out };
        format!("{out}-{host}")
    }
}

/// Returns whether a character reverses or hides text: Unicode's `Bidi_Control`
/// and `Default_Ignorable_Code_Point` (PropList.txt, DerivedCoreProperties.txt)
/// except for [`is_selector`], line separators, annotations, and the Braille
/// pattern without a dot.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

/// Returns whether a character selects a variant of the one before it (an emoji,
/// a Han or a Mongolian letter); alone it shows nothing.
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
    fn blank_long_and_control_character_labels_are_rejected() {
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
    fn a_label_is_visible_and_reverses_no_text() {
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
            ("My phone", "my-phone-7"),
            ("书房", "device-7"),
            ("A very long label indeed", "a-very-long-7"),
            ("--x--", "x-7"),
            ("con", "con-7"),
            ("..", "device-7"),
        ] {
            assert_eq!(DeviceLabel::parse(label).unwrap().file_stem(7), stem);
        }
        // 63 letters of which none is in an interface's name.
        let arabic = DeviceLabel::parse(
            &"هاتف المكتب ".repeat(6)[..]
                .chars()
                .take(63)
                .collect::<String>(),
        );
        assert_eq!(arabic.unwrap().file_stem(254), "device-254");
    }

    /// Names that Windows keeps for devices, whatever their case and what follows a dot.
    fn is_reserved_by_windows(stem: &str) -> bool {
        let first = stem.split('.').next().unwrap_or_default().to_lowercase();
        let numbered = |kind| {
            let number = first.strip_prefix(kind);
            number.is_some_and(|n| n.len() == 1 && n.bytes().all(|c| c.is_ascii_digit()))
        };
        ["con", "prn", "aux", "nul"].contains(&&*first) || numbered("com") || numbered("lpt")
    }

    proptest! {
        #[test]
        fn a_file_stem_is_accepted_by_every_program(s in "\\PC{1,64}", host in 2u8..=254) {
            if let Ok(l) = DeviceLabel::parse(&s) {
                let stem = l.file_stem(host);
                prop_assert!((1..=15).contains(&stem.len()));
                prop_assert!(stem.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'));
                prop_assert!(!stem.starts_with('-'));
                prop_assert!(!is_reserved_by_windows(&stem));
            }
        }

        #[test]
        fn two_hosts_have_two_file_stems(a in "\\PC{1,64}", b in "\\PC{1,64}", m in 2u8..=254, n in 2u8..=254) {
            if let (Ok(a), Ok(b)) = (DeviceLabel::parse(&a), DeviceLabel::parse(&b)) {
                prop_assert_eq!(a.file_stem(m) == b.file_stem(n), a.file_stem(0) == b.file_stem(0) && m == n);
            }
        }
    }
}
