//! Join tokens as people copy them.

use crate::rig::NOW;
use pki::{Authority, JoinToken, PkiError};

fn token() -> JoinToken {
    let authority = Authority::generate(NOW).unwrap();
    JoinToken::generate(authority.hash()).unwrap()
}

#[test]
fn a_token_is_read_as_it_was_printed() {
    let token = token();
    let text = token.to_string();
    assert!(text.starts_with("mn1_"));
    assert_eq!(text.len(), 4 + 64 + 1 + 16 + 1 + 32);
    assert_eq!(text.parse::<JoinToken>().unwrap(), token);
    let copied = format!("  {text}\r\n");
    assert_eq!(copied.parse::<JoinToken>().unwrap(), token);
    let credential = format!("{}_{}", token.id, token.secret.expose());
    assert_eq!(token.credential().expose(), credential);
}

#[test]
fn no_two_tokens_are_the_same() {
    let first = token();
    let second = JoinToken::generate(first.authority).unwrap();
    assert_ne!(first.id, second.id);
    assert_ne!(first.secret, second.secret);
}

#[test]
fn malformed_tokens_are_refused() {
    let good = token().to_string();
    assert!(good.parse::<JoinToken>().is_ok());
    let parts: Vec<&str> = good.split('_').collect();
    let [_, hash, id, secret] = parts[..] else {
        panic!("four parts");
    };
    for wrong in [
        String::new(),
        "☕".to_owned(),
        "mn1".to_owned(),
        "mn1___".to_owned(),
        good.to_uppercase(),
        good.replace("mn1", "mn2"),
        good.replace('_', "-"),
        good.replacen('_', "_ ", 1),
        format!("{good}_"),
        format!("{good}0"),
        format!("{good}\0"),
        good[..good.len() - 1].to_owned(),
        format!("mn1_{id}_{secret}"),
        format!("mn1_{hash}_{id}"),
        format!("mn1_{hash}_{secret}_{id}"),
        format!("mn1_{hash}_{id}_{}", "é".repeat(16)),
        format!("mn1_{}_{id}_{secret}", "é".repeat(32)),
        format!("mn1_{}_{id}_{secret}", "+1".repeat(32)),
        format!("mn1_{hash}_{}_{secret}", "../".repeat(5) + "x"),
        "mn1_".repeat(5_000_000),
        format!("mn1_{hash}_{id}_{}", "0".repeat(20_000_000)),
    ] {
        let start: String = wrong.chars().take(60).collect();
        let read = wrong.parse::<JoinToken>();
        assert!(matches!(read, Err(PkiError::TokenMalformed)), "{start}");
    }
    for place in 0..good.len() {
        assert!(
            good[..place].parse::<JoinToken>().is_err(),
            "cut at {place}"
        );
    }
}
