//! Estimates the strength of a password, for the meter. The server decides with
//! zxcvbn, which is too large for a script (800 kB of words).

/// The length below which the server refuses every password, in characters.
const MIN_LENGTH: usize = 12;

/// Returns 0 (very easy to guess) to 4 (very hard).
pub(super) fn strength(password: &str) -> u8 {
    let mut kinds = [false; 4];
    let mut seen = Vec::new();
    let (mut effective, mut last) = (0u32, None::<char>);
    for c in password.chars().take(128) {
        let kind = if c.is_lowercase() {
            0
        } else if c.is_uppercase() {
            1
        } else if c.is_numeric() {
            2
        } else {
            3
        };
        kinds[kind] = true;
        // Repetitions and sequences such as "aaaa", "1234", "dcba" add almost nothing.
        let step = last.map(|l| (c as i64 - l as i64).abs());
        if !matches!(step, Some(0 | 1)) {
            effective += if seen.contains(&c) { 1 } else { 2 };
        }
        if !seen.contains(&c) {
            seen.push(c);
        }
        last = Some(c);
    }
    let variety = kinds.iter().filter(|k| **k).count() as u32;
    let score = match effective + 2 * variety.saturating_sub(1) {
        0..=9 => 0,
        10..=15 => 1,
        16..=20 => 2,
        21..=27 => 3,
        _ => 4,
    };
    // The meter never says "good" if the server would refuse.
    if password.chars().nth(MIN_LENGTH - 1).is_none() {
        score.min(1)
    } else {
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_weak_and_words_are_strong() {
        for weak in [
            "",
            "aaaaaaaaaaaaaaaa",
            "12345678901234567890",
            "abc123",
            "k7#mQz!x2",
            "abcdefghijklmnop",
        ] {
            assert!(strength(weak) <= 1, "{weak}: {}", strength(weak));
        }
        for strong in ["correct horse battery staple", "kV9#mQ2$xL7!pR"] {
            assert!(strength(strong) >= 3, "{strong}: {}", strength(strong));
        }
    }

    #[test]
    fn a_very_long_password_takes_no_time() {
        assert_eq!(strength(&"wxq7 ".repeat(200_000)), 4);
    }
}
