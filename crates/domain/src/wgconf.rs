//! A parser for WireGuard's configuration format (`wg(8)`, "CONFIGURATION FILE
//! FORMAT", and the keys that `wg-quick(8)` adds) into sections of keys and
//! values. It is strict: a line it does not understand is an error.

/// One `[Section]` with its lines in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// `Interface` or `Peer`.
    pub name: String,
    /// Keys and values, without surrounding blanks and comments.
    pub lines: Vec<(String, String)>,
}

impl Section {
    /// Returns the first value of a key. Keys are compared without regard to case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(key))
            .map(|(_, v)| v.as_str())
    }
}

/// The reason a text is not a configuration, with the line number (from 1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text is longer than [`MAX_BYTES`].
    #[error("longer than 1 MiB")]
    TooLong,
    /// A line precedes every section.
    #[error("line {0}: is before any [Section]")]
    NoSection(usize),
    /// A line is neither `[Section]` nor `key = value`.
    #[error("line {0}: is neither [Section] nor key = value")]
    Malformed(usize),
}

/// The longest text that is parsed, in bytes; 250 peers take about 50 kB.
pub const MAX_BYTES: usize = 1 << 20;

/// Parses a configuration.
///
/// # Errors
/// [`ParseError`] with the line number.
pub fn parse(text: &str) -> Result<Vec<Section>, ParseError> {
    if text.len() > MAX_BYTES {
        return Err(ParseError::TooLong);
    }
    let mut sections: Vec<Section> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            sections.push(Section {
                name: name.trim().to_owned(),
                lines: Vec::new(),
            });
            continue;
        }
        let (key, value) = line.split_once('=').ok_or(ParseError::Malformed(i + 1))?;
        let section = sections.last_mut().ok_or(ParseError::NoSection(i + 1))?;
        section
            .lines
            .push((key.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn comments_blanks_and_case_are_ignored() {
        let got = parse("# hello\n[Interface]\n privatekey=abc= # why\n\n[Peer]\nAllowedIPs = 0.0.0.0/0, ::/0\n").unwrap();
        assert_eq!(got[0].get("PrivateKey"), Some("abc="));
        assert_eq!(got[1].get("allowedips"), Some("0.0.0.0/0, ::/0"));
    }

    #[test]
    fn an_error_names_its_line() {
        assert_eq!(parse("a = b"), Err(ParseError::NoSection(1)));
        assert_eq!(
            parse("[Interface]\nnonsense"),
            Err(ParseError::Malformed(2))
        );
        assert_eq!(parse(&"#".repeat(MAX_BYTES + 1)), Err(ParseError::TooLong));
    }

    proptest! {
        #[test]
        fn the_parser_never_panics(s in ".{0,400}") {
            let _ = parse(&s);
        }
    }
}
