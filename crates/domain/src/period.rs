//! The months by which data are counted: each begins on the plan's day at midnight in
//! the tenant's time zone. Pure: the time is an argument.
//!
//! Not compiled for the browser, which needs no time zones: a view that contains a
//! time to show contains its offset from UTC.

use crate::time::Timestamp;
use jiff::{civil::Date, tz::TimeZone};

/// The length of a time zone's name at most, in bytes. The longest of the IANA
/// database has 32.
const MAX_NAME_BYTES: usize = 64;

/// When a tenant's months begin.
#[derive(Clone, Debug, PartialEq)]
pub struct PeriodRule {
    zone: TimeZone,
    day: i8,
}

/// A month in which data are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment of the next one.
    pub end: Timestamp,
}

/// Returns the IANA database's spelling of a time zone's name, e.g. `Europe/Berlin`;
/// `None` if there is no such zone.
pub fn time_zone_name(typed: &str) -> Option<String> {
    let typed = typed.trim();
    if typed.is_empty() || typed.len() > MAX_NAME_BYTES {
        return None;
    }
    let zone = TimeZone::get(typed).ok()?;
    zone.iana_name().map(str::to_owned)
}

/// Returns the names of the time zones that a form offers, in alphabetical order.
pub fn time_zone_names() -> Vec<String> {
    let is_place = |name: &str| {
        let begin = name.split('/').next().unwrap_or_default();
        let is_link = matches!(begin, "posix" | "right" | "Etc" | "SystemV" | "US");
        name == "UTC" || (name.contains('/') && !is_link)
    };
    let all = jiff::tz::db().available();
    let mut names: Vec<String> = all.map(|n| n.as_str().to_owned()).collect();
    names.retain(|n| is_place(n));
    names.sort_unstable();
    names.dedup();
    names
}

impl PeriodRule {
    /// Returns the rule for a day of the month, 1..=31, in a time zone. A zone that is
    /// not (or no longer) known counts as UTC: one row never stops the others.
    pub fn new(time_zone: &str, day: u8) -> Self {
        Self {
            zone: TimeZone::get(time_zone).unwrap_or(TimeZone::UTC),
            day: i8::try_from(day.clamp(1, 31)).unwrap_or(1),
        }
    }

    /// Returns the period that contains `now`.
    pub fn period(&self, now: Timestamp) -> Period {
        let boundaries = self.boundaries(now);
        let start = boundaries.iter().rev().find(|b| **b <= now);
        let end = boundaries.iter().find(|b| **b > now);
        // Both are found for every time that a calendar has.
        Period {
            start: start.copied().unwrap_or(now),
            end: end.copied().unwrap_or(Timestamp(i64::MAX)),
        }
    }

    /// Returns the date there, e.g. `2026-12-01`.
    pub fn date(&self, at: Timestamp) -> String {
        self.local_date(at)
            .map(|date| date.to_string())
            .unwrap_or_default()
    }

    /// Returns how many seconds the zone is east of UTC at that time.
    pub fn offset_secs(&self, at: Timestamp) -> i32 {
        let at = jiff::Timestamp::from_millisecond(at.0);
        at.map_or(0, |at| self.zone.to_offset(at).seconds())
    }

    fn local_date(&self, at: Timestamp) -> Option<Date> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        Some(at.to_zoned_datetime(self.zone.clone()).date())
    }

    /// Returns the beginnings of the months around that time, in order. They reach far
    /// enough even where a zone skipped a day at the end of a month, as Kiribati did.
    fn boundaries(&self, around: Timestamp) -> Vec<Timestamp> {
        let Some(date) = self.local_date(around) else {
            return Vec::new();
        };
        let months = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
        (months - 2..=months + 2)
            .filter_map(|m| {
                let year = i16::try_from(m.div_euclid(12)).ok()?;
                let month = i8::try_from(m.rem_euclid(12) + 1).ok()?;
                let first = Date::new(year, month, 1).ok()?;
                let day = self.day.min(first.days_in_month());
                self.midnight(Date::new(year, month, day).ok()?)
            })
            .collect()
    }

    /// Returns the first moment of a date. Where midnight is skipped, as at some
    /// changes to summer time, it is the moment after the gap.
    fn midnight(&self, date: Date) -> Option<Timestamp> {
        let begin = date.to_zoned_datetime(self.zone.clone()).ok()?;
        Some(Timestamp(begin.timestamp().as_millisecond()))
    }
}

impl Period {
    /// Returns the period that follows, once this one is over; `None` while it is not.
    /// A clock that is set back to before its start never brings an earlier period
    /// back, so nothing is counted twice.
    #[must_use]
    pub fn next(self, rule: &PeriodRule, now: Timestamp) -> Option<Self> {
        if now < self.end {
            return None;
        }
        let Self { start, end } = rule.period(now);
        // Where the rule has changed meanwhile, the periods still adjoin.
        Some(Self {
            start: start.max(self.end),
            end,
        })
    }

    /// Returns the period after the tenant has moved to another time zone: it ends on
    /// the same date there. So moving to and fro never ends a month twice.
    #[must_use]
    pub fn in_zone(self, from: &PeriodRule, to: &PeriodRule) -> Self {
        let end = from.local_date(self.end).and_then(|date| to.midnight(date));
        Self {
            end: end.unwrap_or(self.end),
            ..self
        }
    }

    /// Returns the period after the plan's day has changed: it ends on the next such
    /// day, and not later than it would have.
    #[must_use]
    pub fn with_day(self, rule: &PeriodRule, now: Timestamp) -> Self {
        Self {
            end: self.end.min(rule.period(now).end),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
