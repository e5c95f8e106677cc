//! A blocklist from a web server, in chunks of any size.
//!
//! - The result does not depend on the chunks.
//! - An accepted list is within the limit, is neither a web page nor binary, and
//!   most of its lines are rules.

use adguard::lists::{Checker, Rejection, Summary};

fn check(limit: u64, text: &[u8], chunk: usize) -> Result<Summary, Rejection> {
    let mut checker = Checker::new(limit);
    for chunk in text.chunks(chunk) {
        checker.feed(chunk)?;
    }
    checker.finish()
}

pub(crate) fn run(data: &[u8]) {
    let [limit, chunk, repeat, text @ ..] = data else {
        return;
    };
    // Up to some 100 kB, so that long lines and the limit are covered as well.
    let times = 1 + usize::from(*repeat) * 512 / text.len().max(1);
    let text = text.repeat(times);
    let limit = u64::from(*limit) * 1024;
    let at_once = check(limit, &text, text.len().max(1));
    let in_chunks = check(limit, &text, 1 + usize::from(*chunk) * 17);
    assert_eq!(at_once.ok(), in_chunks.ok(), "the chunks change the result");
    if let Ok(summary) = in_chunks {
        assert!(text.len() as u64 <= limit);
        let rule =
            |l: &&[u8]| !l.trim_ascii().is_empty() && !matches!(l.trim_ascii()[0], b'#' | b'!');
        let rules: Vec<&[u8]> = text.split(|b| *b == b'\n').filter(rule).collect();
        assert_eq!(summary.rules + summary.left_out, rules.len() as u64);
        assert!(summary.rules > 0);
        assert!(
            rules
                .iter()
                .all(|l| !l.contains(&0) && l.len() <= 64 * 1024)
        );
        let first = rules[0].trim_ascii().to_ascii_lowercase();
        assert!(!first.starts_with(b"<html") && !first.starts_with(b"<!doctype"));
    }
}
