//! A block list from somebody's web server, in pieces of any size.
//!
//! - Where the pieces end does not matter.
//! - What is taken is within the limit, is no web page and no binary, and most
//!   of its lines are rules.

use adguard::lists::{Checker, Reason, Summary};

fn check(most: u64, text: &[u8], piece: usize) -> Result<Summary, Reason> {
    let mut checker = Checker::new(most);
    for piece in text.chunks(piece) {
        checker.feed(piece)?;
    }
    checker.finish()
}

pub(crate) fn run(data: &[u8]) {
    let [most, piece, repeat, text @ ..] = data else {
        return;
    };
    // Up to some 100 kB, so that long lines and the limit are met as well.
    let times = 1 + usize::from(*repeat) * 512 / text.len().max(1);
    let text = text.repeat(times);
    let most = u64::from(*most) * 1024;
    let whole = check(most, &text, text.len().max(1));
    let pieces = check(most, &text, 1 + usize::from(*piece) * 17);
    assert_eq!(whole.ok(), pieces.ok(), "pieces matter");
    if let Ok(summary) = pieces {
        assert!(text.len() as u64 <= most);
        let rule =
            |l: &&[u8]| !l.trim_ascii().is_empty() && !matches!(l.trim_ascii()[0], b'#' | b'!');
        let rules: Vec<&[u8]> = text.split(|b| *b == b'\n').filter(rule).collect();
        assert_eq!(summary.rules, rules.len() as u64);
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
