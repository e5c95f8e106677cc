//! Numbers with a unit, without a loss: as a plan states them ("1.5 Gb/s") and as
//! people type them in a form. Units are decimal, as in plans and at providers.

/// A unit of speed or of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The name on pages and in forms.
    pub name: &'static str,
    /// How many bits per second or bytes it is: a power of ten.
    pub size: u64,
}

const fn unit(name: &'static str, size: u64) -> Unit {
    Unit { name, size }
}

/// The units of speed, smallest first.
pub const SPEED: [Unit; 4] = [
    unit("kb/s", 1_000),
    unit("Mb/s", 1_000_000),
    unit("Gb/s", 1_000_000_000),
    unit("Tb/s", 1_000_000_000_000),
];

/// The units of data, smallest first.
pub const DATA: [Unit; 4] = [
    unit("MB", 1_000_000),
    unit("GB", 1_000_000_000),
    unit("TB", 1_000_000_000_000),
    unit("PB", 1_000_000_000_000_000),
];

/// The most digits before the decimal mark, and the most behind it, that are read.
const MAX_DIGITS: usize = 18;

/// Formats a number in the largest unit that is not larger than it: "1.5 Gb/s".
pub fn exact(n: u64, units: &[Unit; 4]) -> String {
    let (number, unit) = split(n, units);
    format!("{number} {}", unit.name)
}

/// Splits a number into the digits and the unit of [`exact`].
pub fn split(n: u64, units: &[Unit; 4]) -> (String, Unit) {
    let fits = units.iter().rev().find(|u| u.size <= n);
    let unit = fits.copied().unwrap_or(units[0]);
    let (whole, rest) = (n / unit.size, n % unit.size);
    if rest == 0 {
        return (whole.to_string(), unit);
    }
    // The size is a power of ten, so the rest has one digit for each of its zeros.
    let digits = (unit.size + rest).to_string();
    let digits = digits[1..].trim_end_matches('0');
    (format!("{whole}.{digits}"), unit)
}

/// Reads a number as people type it, "50", "1.5" or "1,5", with the name of a unit. A
/// number that is too large for the type becomes the greatest one, which no plan may
/// have. Returns `None` for anything else, and for "1,500": it can mean 1.5 or 1500.
pub fn parse(number: &str, unit: &str, units: &[Unit; 4]) -> Option<u64> {
    let unit = units.iter().find(|u| u.name == unit)?;
    let number = number.trim();
    let (whole, rest) = match number.split_once(['.', ',']) {
        Some((_, rest)) if number.contains(',') && rest.len() == 3 => return None,
        Some(parts) => parts,
        None => (number, "0"),
    };
    let is_digits = |part: &str| {
        (1..=MAX_DIGITS).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    if !is_digits(whole) || !is_digits(rest) {
        return None;
    }
    let size = u128::from(unit.size);
    let whole = whole.parse::<u128>().ok()? * size;
    let digits = u32::try_from(rest.len()).ok()?;
    let rest = rest.parse::<u128>().ok()? * size;
    // A part of a bit or of a byte counts as a whole one: what is more than a limit is
    // never rounded down to it.
    let total = whole + rest.div_ceil(10_u128.pow(digits));
    Some(u64::try_from(total).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_without_a_loss() {
        for (n, text) in [
            (0, "0 kb/s"),
            (500, "0.5 kb/s"),
            (64_000, "64 kb/s"),
            (50_000_000, "50 Mb/s"),
            (1_500_000_000, "1.5 Gb/s"),
            (1_000_000_001, "1.000000001 Gb/s"),
            (10_000_000_000_001, "10.000000000001 Tb/s"),
        ] {
            assert_eq!(exact(n, &SPEED), text);
            let (number, unit) = split(n, &SPEED);
            assert_eq!(parse(&number, unit.name, &SPEED), Some(n), "{text}");
        }
        assert_eq!(exact(2_000_000_000_000, &DATA), "2 TB");
    }

    #[test]
    fn a_number_is_read_as_people_type_it() {
        for (typed, unit, read) in [
            ("50", "Mb/s", Some(50_000_000)),
            (" 1.5 ", "Gb/s", Some(1_500_000_000)),
            ("1,5", "Gb/s", Some(1_500_000_000)),
            ("0", "Mb/s", Some(0)),
            ("10.0000000000001", "Tb/s", Some(10_000_000_000_001)),
            ("999999999999999999", "Tb/s", Some(u64::MAX)),
            ("1,500", "Mb/s", None),
            ("1.500,5", "Mb/s", None),
            ("1.", "Mb/s", None),
            (".5", "Mb/s", None),
            ("-1", "Mb/s", None),
            ("1e3", "Mb/s", None),
            ("fast", "Mb/s", None),
            ("", "Mb/s", None),
            ("50", "GB", None),
            ("1234567890123456789", "Mb/s", None),
            ("٣", "Mb/s", None),
        ] {
            assert_eq!(parse(typed, unit, &SPEED), read, "{typed} {unit}");
        }
    }
}
