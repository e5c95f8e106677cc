//! Amounts as people type them: "500 GB", "100 Mb/s", or "none" for no limit. Units are decimal,
//! as in plans and at providers.

/// An amount that may be unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit(pub Option<u64>);

/// Parses bytes, e.g. "500GB", "1.5 TB" or "none".
pub(super) fn bytes(text: &str) -> Result<Limit, String> {
    let wrong = "say e.g. 500GB, 1.5TB or none";
    limit(text, |text| scaled(text, 'B')).ok_or_else(|| wrong.to_owned())
}

/// Parses bits per second, e.g. "100Mb/s", "100M" or "none".
pub(super) fn bits(text: &str) -> Result<Limit, String> {
    limit(text, speed).ok_or_else(|| "say e.g. 100Mb/s, 2.5Gb/s or none".to_owned())
}

/// Parses bits per second that are not unlimited.
pub(super) fn bits_per_second(text: &str) -> Result<u64, String> {
    speed(text).ok_or_else(|| "say e.g. 1Mb/s or 512kb/s".to_owned())
}

fn limit(text: &str, parse: impl FnOnce(&str) -> Option<u64>) -> Option<Limit> {
    match text.trim() {
        "none" => Some(Limit(None)),
        amount => parse(amount).map(|n| Limit(Some(n))),
    }
}

fn speed(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_suffix("/s").unwrap_or(text);
    scaled(text.strip_suffix("it").unwrap_or(text), 'b')
}

/// Parses a number with at most three decimals, a prefix of the powers of 1,000 and the unit.
fn scaled(text: &str, unit: char) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_suffix(unit).unwrap_or(text);
    let (number, factor) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (&text[..at], 1_000),
        (at, 'M') => (&text[..at], 1_000_000),
        (at, 'G') => (&text[..at], 1_000_000_000),
        (at, 'T') => (&text[..at], 1_000_000_000_000),
        (at, 'P') => (&text[..at], 1_000_000_000_000_000),
        _ => (text, 1_u64),
    };
    let number = number.trim_end();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{decimals:0<3}").parse().ok()?;
    let part = u128::from(factor) * u128::from(thousandths);
    let total = u128::from(factor) * whole.parse::<u128>().ok()?;
    match part % 1_000 {
        0 => u64::try_from(total.checked_add(part / 1_000)?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_decimal_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("500GB", Some(500_000_000_000)),
            ("500 GB", Some(500_000_000_000)),
            ("500G", Some(500_000_000_000)),
            ("1.5TB", Some(1_500_000_000_000)),
            ("2.5 kB", Some(2_500)),
            ("7B", Some(7)),
        ] {
            assert_eq!(bytes(text), Ok(Limit(expected)), "{text}");
        }
        assert_eq!(bytes("none"), Ok(Limit(None)));
        for text in [
            "",
            "GB",
            "-1GB",
            "1,5TB",
            "0.5B",
            "1.2345GB",
            "1e9",
            "12 GiB",
            "١GB",
            "1Gb",
            "9".repeat(40).as_str(),
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
        for (text, expected) in [
            ("100Mb/s", 100_000_000),
            ("100 Mbit/s", 100_000_000),
            ("100M", 100_000_000),
            ("2.5Gb/s", 2_500_000_000),
            ("512kb/s", 512_000),
        ] {
            assert_eq!(bits_per_second(text), Ok(expected), "{text}");
            assert_eq!(bits(text), Ok(Limit(Some(expected))), "{text}");
        }
        for text in ["none", "100MB/s", "fast", "/s", "b/s"] {
            assert!(bits_per_second(text).is_err(), "{text}");
        }
    }
}
