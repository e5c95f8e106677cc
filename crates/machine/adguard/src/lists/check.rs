//! Checks whether a text is a block list. Reads it line by line as it arrives,
//! so that a list of 64 MB costs no memory. Refuses what AdGuard Home would refuse
//! (`filtering/rulelist/parser.go`: HTML, binary, long lines), before a good copy
//! is replaced. Leaves out rules that a block list has no business with
//! ([`is_harmful`]).

use super::rule::is_harmful;
use domain::Message;

/// The longest line that AdGuard Home reads, in bytes (Go, `bufio.MaxScanTokenSize`).
const MAX_LINE: usize = 64 * 1024;

/// Why a text is not a block list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It contains no rule.
    #[error("it holds no rule")]
    Empty,
    /// It is a web page, e.g. an error page or a captive portal's.
    #[error("it is a web page")]
    Html,
    /// It contains control characters.
    #[error("it is not text")]
    Binary,
    /// It contains a line of more than 64 KiB.
    #[error("a line in it is longer than 64 KiB")]
    LongLine,
    /// Most of its lines do not look like rules.
    #[error("most of it does not look like rules")]
    NoRules,
    /// It is larger than the limit.
    #[error("it is too large")]
    TooLarge,
}

impl Rejection {
    /// Returns what to say to the operator.
    pub const fn message(self) -> Message {
        match self {
            Self::Empty => Message::ListEmpty,
            Self::Html => Message::ListHtml,
            Self::Binary => Message::ListBinary,
            Self::LongLine => Message::ListLongLine,
            Self::NoRules => Message::ListNoRules,
            Self::TooLarge => Message::ListTooLarge,
        }
    }
}

/// The summary of a good list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The number of lines that are neither empty nor comments.
    pub rules: u64,
    /// The number of rules that were left out, and are not in `rules`.
    pub left_out: u64,
}

/// Checks a list that arrives in pieces.
#[derive(Debug)]
pub struct Checker {
    max_bytes: u64,
    line: Vec<u8>,
    kept: Vec<u8>,
    left_out: u64,
    bytes: u64,
    rules: u64,
    plausible: u64,
}

impl Checker {
    /// Creates a checker for a text of at most `max_bytes` bytes.
    pub fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            line: Vec::new(),
            kept: Vec::new(),
            left_out: 0,
            bytes: 0,
            rules: 0,
            plausible: 0,
        }
    }

    /// Checks the next piece.
    ///
    /// # Errors
    /// Returns why the text is not a list, as far as it was read.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<(), Rejection> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.max_bytes {
            return Err(Rejection::TooLarge);
        }
        while let Some(end) = piece.iter().position(|b| *b == b'\n') {
            self.line.extend_from_slice(&piece[..=end]);
            self.check_line()?;
            piece = &piece[end + 1..];
        }
        self.line.extend_from_slice(piece);
        if self.line.len() > MAX_LINE {
            return Err(Rejection::LongLine);
        }
        Ok(())
    }

    /// Returns the lines that were read completely since the last call, without those
    /// that are left out.
    pub fn take_kept(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    /// Checks the text as a whole, after the last piece. [`Checker::take_kept`] then
    /// returns the last line.
    ///
    /// # Errors
    /// Returns why the text is not a list.
    pub fn finish(&mut self) -> Result<Summary, Rejection> {
        self.check_line()?;
        if self.rules == 0 {
            return Err(Rejection::Empty);
        }
        if self.plausible * 2 < self.rules {
            return Err(Rejection::NoRules);
        }
        Ok(Summary {
            rules: self.rules,
            left_out: self.left_out,
        })
    }

    fn check_line(&mut self) -> Result<(), Rejection> {
        let whole = std::mem::take(&mut self.line);
        if whole.len() > MAX_LINE {
            return Err(Rejection::LongLine);
        }
        let line = whole.trim_ascii();
        if self.rules == 0 && is_html(line) {
            return Err(Rejection::Html);
        }
        if line.is_empty() || matches!(line[0], b'#' | b'!') {
            self.keep(&whole);
            return Ok(());
        }
        if line
            .iter()
            .any(|b| matches!(b, 0..=8 | 11 | 12 | 14..=31 | 127))
        {
            return Err(Rejection::Binary);
        }
        if is_harmful(line) {
            self.left_out += 1;
            return Ok(());
        }
        self.rules += 1;
        self.plausible += u64::from(is_plausible(line));
        self.keep(&whole);
        Ok(())
    }

    fn keep(&mut self, line: &[u8]) {
        self.kept.extend_from_slice(line);
    }
}

fn is_html(line: &[u8]) -> bool {
    [b"<html".as_slice(), b"<!doctype", b"<?xml", b"<head"]
        .iter()
        .any(|tag| {
            line.get(..tag.len())
                .is_some_and(|l| l.eq_ignore_ascii_case(tag))
        })
}

/// Returns whether a line looks like a rule: adblock syntax, a line of a hosts
/// file, or a single name.
fn is_plausible(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else {
        return false;
    };
    if ["||", "|", "@@", "/", "*", ".", ":", "[Adblock"]
        .iter()
        .any(|p| line.starts_with(p))
    {
        return true;
    }
    let mut words = line
        .split('#')
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    if first.parse::<std::net::IpAddr>().is_ok() {
        return words.next().is_some_and(is_name);
    }
    words.next().is_none() && is_name(first.split(['^', '$']).next().unwrap_or_default())
}

fn is_name(word: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'*');
    // Some lists contain names in other scripts as they are.
    !word.is_empty() && word.bytes().all(|b| inner(b) || !b.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8]) -> Result<Summary, Rejection> {
        let mut checker = Checker::new(100_000);
        // Pieces of an odd length: their boundaries must not matter.
        for piece in text.chunks(7) {
            checker.feed(piece)?;
        }
        checker.finish()
    }

    fn rules(rules: u64) -> Summary {
        Summary { rules, left_out: 0 }
    }

    #[test]
    fn harmful_rules_are_left_out_and_counted() {
        let mut checker = Checker::new(1000);
        let text = b"! list\n||ads.example^\n||bank.example^$dnsrewrite=203.0.113.9\n\n203.0.113.9 bank.example\n0.0.0.0 x.example";
        let mut kept = Vec::new();
        for piece in text.chunks(5) {
            checker.feed(piece).unwrap();
            kept.extend(checker.take_kept());
        }
        let summary = checker.finish().unwrap();
        kept.extend(checker.take_kept());
        assert_eq!((summary.rules, summary.left_out), (2, 2));
        let kept = String::from_utf8(kept).unwrap();
        assert_eq!(kept, "! list\n||ads.example^\n\n0.0.0.0 x.example");
        // A list of nothing else is no list.
        let mut checker = Checker::new(1000);
        checker.feed(b"203.0.113.9 bank.example\n").unwrap();
        assert_eq!(checker.finish(), Err(Rejection::Empty));
    }

    #[test]
    fn lists_of_every_common_form_are_accepted() {
        let adblock = b"! Title: x\n||ads.example^\n@@||ok.example^$important\r\n/banner[0-9]+/\n";
        assert_eq!(check(adblock), Ok(rules(3)));
        let hosts = b"# hosts\n0.0.0.0 ads.example # why\n127.0.0.1\tads2.example\n::1 x.example";
        assert_eq!(check(hosts), Ok(rules(3)));
        assert_eq!(check(b"ads.example\n*.track.example\n"), Ok(rules(2)));
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        assert_eq!(check(b""), Err(Rejection::Empty));
        assert_eq!(check(b"! only\n# comments\n\n"), Err(Rejection::Empty));
        assert_eq!(check(b"\n<!DOCTYPE html>\n<p>404"), Err(Rejection::Html));
        assert_eq!(
            check(b"<HTML><body>sign in</body></HTML>"),
            Err(Rejection::Html)
        );
        assert_eq!(check(b"||a.example^\n\x00\x01\x02"), Err(Rejection::Binary));
        assert_eq!(check(b"\x1f\x8b\x08not unpacked"), Err(Rejection::Binary));
        assert_eq!(
            check(br#"{"message": "not found"}"#),
            Err(Rejection::NoRules)
        );
        assert_eq!(
            check(b"Too many requests, slow down"),
            Err(Rejection::NoRules)
        );
        assert_eq!(check(&vec![b'a'; MAX_LINE + 1]), Err(Rejection::LongLine));
    }

    #[test]
    fn an_endless_list_is_refused() {
        let mut checker = Checker::new(100_000);
        let piece = b"||a.example^\n".repeat(80);
        let fed = (0..).find_map(|_| checker.feed(&piece).err());
        assert_eq!(fed, Some(Rejection::TooLarge));
    }
}
