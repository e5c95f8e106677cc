//! Whether a text is a block list: read line by line as it comes, so that a
//! list of 64 MB costs no memory. What AdGuard Home itself would refuse
//! (`filtering/rulelist/parser.go`: HTML, binary, long lines) is refused here,
//! before a good copy is replaced.

/// Longest line AdGuard Home reads (Go, `bufio.MaxScanTokenSize`).
const MAX_LINE: usize = 64 * 1024;

/// Why a text is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No rule in it.
    #[error("it holds no rule")]
    Empty,
    /// A web page, e.g. an error page or a captive portal's.
    #[error("it is a web page")]
    Html,
    /// Control characters.
    #[error("it is no text")]
    Binary,
    /// A line of more than 64 KiB.
    #[error("a line in it is longer than 64 KiB")]
    LongLine,
    /// Most lines look like no rule.
    #[error("most of it does not look like rules")]
    NoRules,
    /// More than the limit.
    #[error("it is too large")]
    TooLarge,
}

/// What a good list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Lines that are neither empty nor comments.
    pub rules: u64,
}

/// Reads a list in pieces.
#[derive(Debug)]
pub struct Checker {
    most: u64,
    line: Vec<u8>,
    bytes: u64,
    rules: u64,
    plausible: u64,
}

impl Checker {
    /// Begins a text of `most` bytes at most.
    pub fn new(most: u64) -> Self {
        Self {
            most,
            line: Vec::new(),
            bytes: 0,
            rules: 0,
            plausible: 0,
        }
    }

    /// Reads on.
    ///
    /// # Errors
    /// Why it is no list, as far as can be said by now.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<(), Reason> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.most {
            return Err(Reason::TooLarge);
        }
        while let Some(end) = piece.iter().position(|b| *b == b'\n') {
            self.line.extend_from_slice(&piece[..end]);
            self.take_line()?;
            piece = &piece[end + 1..];
        }
        self.line.extend_from_slice(piece);
        if self.line.len() > MAX_LINE {
            return Err(Reason::LongLine);
        }
        Ok(())
    }

    /// Ends the text.
    ///
    /// # Errors
    /// Why it is no list.
    pub fn finish(mut self) -> Result<Summary, Reason> {
        self.take_line()?;
        if self.rules == 0 {
            return Err(Reason::Empty);
        }
        if self.plausible * 2 < self.rules {
            return Err(Reason::NoRules);
        }
        Ok(Summary { rules: self.rules })
    }

    fn take_line(&mut self) -> Result<(), Reason> {
        let line = std::mem::take(&mut self.line);
        if line.len() > MAX_LINE {
            return Err(Reason::LongLine);
        }
        let line = line.trim_ascii();
        if self.rules == 0 && is_html(line) {
            return Err(Reason::Html);
        }
        if line.is_empty() || matches!(line[0], b'#' | b'!') {
            return Ok(());
        }
        if line
            .iter()
            .any(|b| matches!(b, 0..=8 | 11 | 12 | 14..=31 | 127))
        {
            return Err(Reason::Binary);
        }
        self.rules += 1;
        self.plausible += u64::from(is_plausible(line));
        Ok(())
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

/// Whether a line looks like a rule: adblock syntax, a line of a hosts file, or
/// a name alone.
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
    // Names of other scripts come as they are in some lists.
    !word.is_empty() && word.bytes().all(|b| inner(b) || !b.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8]) -> Result<Summary, Reason> {
        let mut checker = Checker::new(100_000);
        // In odd pieces: where they end must not matter.
        for piece in text.chunks(7) {
            checker.feed(piece)?;
        }
        checker.finish()
    }

    #[test]
    fn lists_of_every_usual_form_are_taken() {
        let adblock = b"! Title: x\n||ads.example^\n@@||ok.example^$important\r\n/banner[0-9]+/\n";
        assert_eq!(check(adblock), Ok(Summary { rules: 3 }));
        let hosts = b"# hosts\n0.0.0.0 ads.example # why\n127.0.0.1\tads2.example\n::1 x.example";
        assert_eq!(check(hosts), Ok(Summary { rules: 3 }));
        assert_eq!(
            check(b"ads.example\n*.track.example\n"),
            Ok(Summary { rules: 2 })
        );
    }

    #[test]
    fn what_is_no_list_is_refused_by_its_reason() {
        assert_eq!(check(b""), Err(Reason::Empty));
        assert_eq!(check(b"! only\n# comments\n\n"), Err(Reason::Empty));
        assert_eq!(check(b"\n<!DOCTYPE html>\n<p>404"), Err(Reason::Html));
        assert_eq!(
            check(b"<HTML><body>sign in</body></HTML>"),
            Err(Reason::Html)
        );
        assert_eq!(check(b"||a.example^\n\x00\x01\x02"), Err(Reason::Binary));
        assert_eq!(check(b"\x1f\x8b\x08not unpacked"), Err(Reason::Binary));
        assert_eq!(check(br#"{"message": "not found"}"#), Err(Reason::NoRules));
        assert_eq!(check(b"Too many requests, slow down"), Err(Reason::NoRules));
        assert_eq!(check(&vec![b'a'; MAX_LINE + 1]), Err(Reason::LongLine));
    }

    #[test]
    fn a_list_without_end_is_cut_off() {
        let mut checker = Checker::new(100_000);
        let piece = b"||a.example^\n".repeat(80);
        let fed = (0..).find_map(|_| checker.feed(&piece).err());
        assert_eq!(fed, Some(Reason::TooLarge));
    }
}
