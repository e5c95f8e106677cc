//! Points in time as numbers, and the calendar. Nothing here reads a clock ([`crate::clock`] does):
//! `now` is always an argument, so that a simulation can replay it.

use serde::{Deserialize, Serialize};

/// The length of a day in milliseconds.
pub const DAY_MILLIS: i64 = 86_400_000;
const DAY_SECS: i64 = 86_400;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A date with the time of day in UTC, in the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcDateTime {
    pub year: i64,
    /// 1..=12.
    pub month: u32,
    /// 1..=31.
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
}

impl Timestamp {
    /// Converts whole seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Returns whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the milliseconds from `earlier` to `self`, or 0 if the clock went
    /// backwards.
    pub const fn millis_since(self, earlier: Timestamp) -> i64 {
        let d = self.0.saturating_sub(earlier.0);
        if d < 0 { 0 } else { d }
    }

    /// Returns the point in time `millis` later.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns "12 s ago", "3 min ago", "2 h ago" or "5 days ago". A page shows
    /// the exact time in the element's `title`.
    pub fn ago(self, now: Timestamp) -> String {
        let s = now.millis_since(self) / 1000;
        match s {
            0..=1 => "just now".to_owned(),
            2..=59 => format!("{s} s ago"),
            60..=3_599 => format!("{} min ago", s / 60),
            3_600..=86_399 => format!("{} h ago", s / 3_600),
            86_400..=172_799 => "1 day ago".to_owned(),
            _ => format!("{} days ago", s / DAY_SECS),
        }
    }

    /// Returns the date and the time of day in UTC.
    ///
    /// This is Howard Hinnant's `civil_from_days`. A time crate would add 20 kB
    /// to the browser's script.
    pub const fn utc(self) -> UtcDateTime {
        let secs = self.secs();
        let rest = secs.rem_euclid(DAY_SECS) as u32;
        let z = secs.div_euclid(DAY_SECS) + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = (if mp < 10 { mp + 3 } else { mp - 9 }) as u32;
        UtcDateTime {
            year: yoe + era * 400 + (month <= 2) as i64,
            month,
            day: (doy - (153 * mp + 2) / 5 + 1) as u32,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// Returns the time in UTC as RFC 3339 writes it, with milliseconds:
    /// `2026-11-28T03:40:00.000Z`.
    pub fn rfc_3339(self) -> String {
        let (t, millis) = (self.utc(), self.0.rem_euclid(1_000));
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            t.year, t.month, t.day, t.hour, t.minute, t.second
        )
    }

    /// Reads a date, which is its first moment, or a time in UTC as RFC 3339 writes it with
    /// a Z: `2026-11-27` or `2026-11-27T20:15:00Z`, with or without milliseconds.
    pub fn parse_utc(text: &str) -> Option<Self> {
        let (date, time) = match text.trim().split_once(['T', 't', ' ']) {
            Some((date, time)) => (date, Some(time)),
            None => (text.trim(), None),
        };
        let mut parts = date.splitn(3, '-');
        let mut next = |digits| number(parts.next()?, digits);
        let (year, month, day) = (next(4)?, next(2)?, next(2)?);
        let days = days_of_date(year, month, day)?;
        let millis = match time {
            Some(time) => millis_of_day(time)?,
            None => 0,
        };
        Some(Self(days * DAY_MILLIS + millis))
    }

    /// Returns the first moment of the calendar month (UTC).
    pub const fn month_start(self) -> Self {
        let days = self.secs().div_euclid(DAY_SECS);
        Self::from_secs((days - (self.utc().day as i64 - 1)) * DAY_SECS)
    }
}

/// Reads a number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let is_plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// Returns the days from 1970-01-01 to a date, if there is such a date. This is Howard
/// Hinnant's `days_from_civil`.
fn days_of_date(year: i64, month: i64, day: i64) -> Option<i64> {
    let date = UtcDateTime {
        year,
        month: u32::try_from(month).ok().filter(|m| (1..=12).contains(m))?,
        day: u32::try_from(day).ok()?,
        hour: 0,
        minute: 0,
        second: 0,
    };
    if !(1..=date.days_in_month()).contains(&date.day) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    Some(era * 146_097 + doe - 719_468)
}

/// Returns the milliseconds from midnight to `20:15:00Z` or `20:15:00.123Z`.
fn millis_of_day(time: &str) -> Option<i64> {
    let time = time.strip_suffix(['Z', 'z'])?;
    let (time, millis) = match time.split_once('.') {
        Some((time, millis)) => (time, number(millis, 3)?),
        None => (time, 0),
    };
    let mut parts = time.splitn(3, ':');
    let mut next = |end| number(parts.next()?, 2).filter(|n| *n < end);
    let (hour, minute, second) = (next(24)?, next(60)?, next(60)?);
    Some(((hour * 60 + minute) * 60 + second) * 1_000 + millis)
}

impl UtcDateTime {
    /// Returns the number of days of this month.
    pub const fn days_in_month(self) -> u32 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 31,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        let read = |text: &str| Timestamp::parse_utc(text).map(|t| t.0);
        assert_eq!(read("1970-01-01"), Some(0));
        assert_eq!(read(" 2026-11-24 "), Some(1_795_478_400_000));
        assert_eq!(read("2026-11-24T00:00:00.123Z"), Some(1_795_478_400_123));
        assert_eq!(read("2026-11-24t20:15:01z"), Some(1_795_551_301_000));
        for day in -800_000..800_000 {
            let at = Timestamp(day * DAY_MILLIS);
            let t = at.utc();
            if (0..10_000).contains(&t.year) {
                let text = format!("{:04}-{:02}-{:02}", t.year, t.month, t.day);
                assert_eq!(Timestamp::parse_utc(&text), Some(at), "{text}");
            }
        }
        for bad in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "2026-11-24T",
            "26-11-24",
            "2026-11-24T24:00:00Z",
            "2026-11-24T20:15:00",
            "2026-11-24T20:15Z",
            "2026-11-24-1",
            "2026-11-24T20:15:00+01:00",
            "+026-11-24",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn ages_are_formatted_for_people() {
        let now = Timestamp::from_secs(1_000_000);
        let at = |s: i64| Timestamp::from_secs(1_000_000 - s).ago(now);
        assert_eq!(at(0), "just now");
        assert_eq!(at(12), "12 s ago");
        assert_eq!(at(61), "1 min ago");
        assert_eq!(at(7_300), "2 h ago");
        assert_eq!(at(100_000), "1 day ago");
        assert_eq!(at(259_300), "3 days ago");
        assert_eq!(
            Timestamp::from_secs(2_000_000).ago(now),
            "just now",
            "a clock that jumped back"
        );
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_last() {
        let mut last = Timestamp::from_secs(-DAY_SECS).utc();
        assert_eq!((last.year, last.month, last.day), (1969, 12, 31));
        for day in 0..146_097 {
            let now = Timestamp::from_secs(day * DAY_SECS).utc();
            let expected = match (last.month, last.day == last.days_in_month()) {
                (12, true) => (last.year + 1, 1, 1),
                (month, true) => (last.year, month + 1, 1),
                (month, false) => (last.year, month, last.day + 1),
            };
            assert_eq!((now.year, now.month, now.day), expected);
            last = now;
        }
        assert_eq!((last.year, last.month, last.day), (2369, 12, 31));
    }

    #[test]
    fn a_month_starts_on_its_first_day() {
        let leap_day = Timestamp::from_secs(1_709_209_845);
        let date = leap_day.utc();
        assert_eq!((date.year, date.month, date.day), (2024, 2, 29));
        assert_eq!((date.hour, date.minute, date.second), (12, 30, 45));
        assert_eq!(leap_day.month_start(), Timestamp::from_secs(1_706_745_600));
        let start = |secs| Timestamp::from_secs(secs).month_start().secs();
        assert_eq!(
            start(1_795_478_400),
            1_793_491_200,
            "2026-11-24 -> 2026-11-01"
        );
        assert_eq!(
            start(1_709_251_200),
            1_709_251_200,
            "2024-03-01 -> 2024-03-01"
        );
        assert_eq!(start(0), 0);
        let before_epoch = Timestamp(-1);
        assert_eq!(before_epoch.month_start(), Timestamp::from_secs(-2_678_400));
    }
}
