//! Numbers and times as text for people. Units are decimal, as in plans and at
//! providers.

use domain::Timestamp;

/// Formats bytes with three digits, number and unit apart: `("14.2", "GB")`.
pub fn bytes_parts(bytes: u64) -> (String, &'static str) {
    scaled(bytes, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Formats bytes as "14.2 GB".
pub fn bytes(bytes: u64) -> String {
    let (number, unit) = bytes_parts(bytes);
    format!("{number} {unit}")
}

/// Formats bits per second, number and unit apart: `("12.4", "Mb/s")`.
pub fn bits_parts(bps: u64) -> (String, &'static str) {
    scaled(
        bps,
        &["b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s", "Pb/s", "Eb/s"],
    )
}

/// Formats bits per second as "12.4 Mb/s".
pub fn bits(bps: u64) -> String {
    let (number, unit) = bits_parts(bps);
    format!("{number} {unit}")
}

/// Formats bits per second for a column headed "Mb/s": "8.2", "0.0", "1,204".
pub fn megabits(bps: u64) -> String {
    if bps < 100_000_000 {
        tenths((bps + 50_000) / 100_000)
    } else {
        thousands(bps / 1_000_000)
    }
}

/// Formats a number with separators: "11,552".
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Returns a share in per cent with one decimal, "18.3", or "0" if `whole` is 0.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0".to_owned();
    }
    tenths(part.saturating_mul(1000).saturating_add(whole / 2) / whole)
}

/// Formats 82 as "8.2". It uses integers only: printing an `f64` would add the
/// general algorithm to the script.
fn tenths(n: u64) -> String {
    format!("{}.{}", n / 10, n % 10)
}

/// Formats a coordinate with at most `places` decimals (0 to 2), without
/// trailing zeros.
pub fn decimal(value: f64, places: u32) -> String {
    let scale = 10_i64.pow(places);
    let n = (value * scale as f64).round() as i64;
    let (sign, n) = (if n < 0 { "-" } else { "" }, n.unsigned_abs());
    let (whole, mut rest) = (n / scale.unsigned_abs(), n % scale.unsigned_abs());
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let mut width = places as usize;
    while rest.is_multiple_of(10) {
        rest /= 10;
        width -= 1;
    }
    format!("{sign}{whole}.{rest:0width$}")
}

/// Escapes text for HTML, for an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Formats a time in UTC for a `datetime` attribute:
/// `2026-11-23T21:34:22Z`.
pub fn iso(at: Timestamp) -> String {
    let t = at.utc();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

/// Formats a time in UTC for a hover: `2026-11-23 21:34:22 UTC`.
pub fn exact(at: Timestamp) -> String {
    let t = at.utc();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

/// Formats a time in a zone that is so many seconds east of UTC, without the year and,
/// at midnight, without the time: "1 December" or "1 April, 01:00".
pub fn local_date(at: Timestamp, offset_secs: i32) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let t = at.plus_millis(i64::from(offset_secs) * 1_000).utc();
    let month = MONTHS
        .get(t.month as usize - 1)
        .copied()
        .unwrap_or_default();
    match (t.hour, t.minute) {
        (0, 0) => format!("{} {month}", t.day),
        (hour, minute) => format!("{} {month}, {hour:02}:{minute:02}", t.day),
    }
}

fn scaled(n: u64, units: &[&'static str]) -> (String, &'static str) {
    let mut unit = 1_u64;
    let mut i = 0;
    // 999.5 would otherwise be printed as "1000".
    while i + 1 < units.len() && n >= (unit * 999).saturating_add(unit.div_ceil(2)) {
        unit = unit.saturating_mul(1000);
        i += 1;
    }
    let text = if i == 0 {
        n.to_string()
    } else if n / (unit / 100) >= 9_995 {
        (n.saturating_add(unit / 2) / unit).to_string()
    } else {
        tenths(n.saturating_add(unit / 20) / (unit / 10))
    };
    (text, units[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_as_designed() {
        assert_eq!(bytes(14_200_000_000), "14.2 GB");
        assert_eq!(bytes(203_000_000_000), "203 GB");
        assert_eq!(bytes(999_700), "1.0 MB");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.0 kB");
        assert_eq!(bytes(99_949), "99.9 kB");
        assert_eq!(bytes(99_951), "100 kB");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(bits(12_400_000), "12.4 Mb/s");
        assert_eq!(megabits(8_200_000), "8.2");
        assert_eq!(megabits(1_204_000_000), "1,204");
        assert_eq!(thousands(11_552), "11,552");
        assert_eq!(thousands(999), "999");
        assert_eq!(percent(2_114, 11_552), "18.3");
        assert_eq!(percent(0, 0), "0");
    }

    #[test]
    fn coordinates_have_no_trailing_zeros() {
        for (value, places, text) in [
            (0.0, 1, "0"),
            (-0.04, 1, "0"),
            (-12.34, 1, "-12.3"),
            (0.708, 2, "0.71"),
            (0.04, 2, "0.04"),
            (1.5, 2, "1.5"),
        ] {
            assert_eq!(decimal(value, places), text);
        }
    }

    #[test]
    fn escaped_text_is_not_markup() {
        assert_eq!(escape("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
    }

    #[test]
    fn dates_are_correct_around_leap_days() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_469_662, "2026-11-23T21:34:22Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso(Timestamp::from_secs(secs)), text);
        }
    }
    #[test]
    fn a_date_is_that_of_the_zone() {
        // 2026-11-30T23:00:00Z
        let at = Timestamp::from_secs(1_796_079_600);
        assert_eq!(local_date(at, 3_600), "1 December");
        assert_eq!(local_date(at, 0), "30 November, 23:00");
        assert_eq!(local_date(at, -12_600), "30 November, 19:30");
    }
}
