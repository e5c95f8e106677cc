//! Tenants' names and devices' labels, as users type them.
//!
//! - An accepted name is a DNS label of the narrow form that the product relies
//!   on, is accepted again unchanged, and is found again from its folder.
//! - An accepted label is accepted again unchanged, is visible, does not change
//!   the direction of text, and has a file name that WireGuard's programs accept.

use domain::{DeviceLabel, TenantName};
use provisioning::ports::tenant_of_folder;

/// Returns whether a text has the form of a tenant's name, without using the
/// parser.
pub(crate) fn is_name(n: &str) -> bool {
    let label = n
        .bytes()
        .all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let reserved = ["admin", "api", "www", "localhost", "dns"].contains(&n) || n.ends_with("-dns");
    (3..=32).contains(&n.len())
        && label
        && !reserved
        && !n.starts_with('-')
        && !n.ends_with('-')
        && n.get(2..4) != Some("--")
}

pub(crate) fn run(data: &[u8]) {
    let Ok(typed) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(name) = TenantName::parse(typed) {
        assert!(is_name(name.as_str()), "{name:?} is not a name");
        assert_eq!(TenantName::parse(name.as_str()).as_ref(), Ok(&name));
        assert_eq!(tenant_of_folder(&name.folder()).as_ref(), Some(&name));
        assert!(name.folder().len() <= 255 && !name.folder().contains('/'));
        assert_eq!(name.as_str(), typed.trim().to_ascii_lowercase());
    }
    if let Some(name) = tenant_of_folder(typed) {
        // A folder with another spelling would never be found.
        assert_eq!(name.folder(), typed, "two folders for one tenant");
    }
    if let Ok(label) = DeviceLabel::parse(typed) {
        label_holds(&label);
    }
}

fn label_holds(label: &DeviceLabel) {
    let text = label.as_str();
    assert_eq!(DeviceLabel::parse(text).as_ref(), Ok(label));
    assert!((1..=64).contains(&text.chars().count()));
    assert!(text.chars().any(is_visible), "{text:?} is invisible");
    assert!(!text.chars().any(char::is_control));
    assert!(
        !text.chars().any(is_bidi_control),
        "{text:?} changes the direction of text"
    );
    let stem = label.file_stem(254);
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    assert!((1..=15).contains(&stem.len()) && stem.bytes().all(plain));
}

/// Returns whether a character is one of Unicode's `Bidi_Control`
/// (PropList.txt).
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether a character is visible: neither blank nor one of Unicode's
/// `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt), nor the Braille
/// pattern without dots.
fn is_visible(c: char) -> bool {
    let ignorable = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    !ignorable && !c.is_whitespace() && c != '\u{2800}'
}
