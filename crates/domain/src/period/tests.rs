use super::*;
use proptest::prelude::*;

const DAY: i64 = crate::time::DAY_MILLIS;
const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "America/Santiago",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Beirut",
];

fn at(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().unwrap();
    Timestamp(time.as_millisecond())
}

fn period(zone: &str, day: u8, now: &str) -> (Timestamp, Timestamp) {
    let found = PeriodRule::new(zone, day).period(at(now));
    (found.start, found.end)
}

#[test]
fn a_month_begins_at_the_tenants_midnight() {
    assert_eq!(
        period("Europe/Berlin", 1, "2026-11-24T12:00:00Z"),
        (at("2026-10-31T23:00:00Z"), at("2026-11-30T23:00:00Z"))
    );
    // Summer time began on 29 March: one end is at 23:00, the other at 22:00.
    assert_eq!(
        period("Europe/Berlin", 15, "2026-03-20T00:00:00Z"),
        (at("2026-03-14T23:00:00Z"), at("2026-04-14T22:00:00Z"))
    );
    let before = period("Europe/Berlin", 1, "2026-10-31T22:59:59Z");
    assert_eq!(before.1, at("2026-10-31T23:00:00Z"));
}

#[test]
fn a_short_month_begins_on_its_last_day() {
    let found = |now| period("UTC", 31, now);
    let feb = (at("2026-02-28T00:00:00Z"), at("2026-03-31T00:00:00Z"));
    assert_eq!(found("2026-03-01T00:00:00Z"), feb);
    assert_eq!(found("2026-02-27T23:59:59Z").1, feb.0);
    assert_eq!(
        found("2028-02-29T00:00:00Z"),
        (at("2028-02-29T00:00:00Z"), at("2028-03-31T00:00:00Z"))
    );
    assert_eq!(
        found("2026-01-10T00:00:00Z"),
        (at("2025-12-31T00:00:00Z"), at("2026-01-31T00:00:00Z"))
    );
}

#[test]
fn a_day_without_midnight_begins_after_the_gap() {
    // Summer time in Chile began at midnight, 2022-09-11.
    let found = period("America/Santiago", 11, "2022-09-20T00:00:00Z");
    assert_eq!(found.0, at("2022-09-11T04:00:00Z"));
    // Samoa had no 2011-12-30.
    let found = period("Pacific/Apia", 30, "2012-01-02T00:00:00Z");
    assert_eq!(found.0, at("2011-12-30T10:00:00Z"));
}

#[test]
fn a_move_never_ends_a_month_twice() {
    let (east, west) = (
        PeriodRule::new("Pacific/Kiritimati", 1),
        PeriodRule::new("Pacific/Pago_Pago", 1),
    );
    // Noon on 30 November: it is December in the east already.
    let now = at("2026-11-30T12:00:00Z");
    let before = west.period(now);
    let moved = before.in_zone(&west, &east);
    let december = moved.next(&east, now).unwrap();
    assert_eq!(december.start, at("2026-11-30T10:00:00Z"));
    let back = december.in_zone(&east, &west);
    assert_eq!(back.end, at("2027-01-01T11:00:00Z"));
    assert_eq!(back.next(&west, at("2026-12-02T00:00:00Z")), None);
    assert_eq!(back.in_zone(&west, &east), december);
}

#[test]
fn a_changed_day_delays_no_month() {
    let now = at("2026-11-24T12:00:00Z");
    let before = PeriodRule::new("UTC", 1).period(now);
    let sooner = before.with_day(&PeriodRule::new("UTC", 28), now);
    assert_eq!(sooner.end, at("2026-11-28T00:00:00Z"));
    let later = PeriodRule::new("UTC", 15);
    assert_eq!(before.with_day(&later, now), before);
    let next = before.next(&later, before.end).unwrap();
    assert_eq!(
        (next.start, next.end),
        (before.end, at("2026-12-15T00:00:00Z"))
    );
}

#[test]
fn a_time_zone_is_found_by_its_name() {
    assert_eq!(
        time_zone_name(" europe/berlin ").as_deref(),
        Some("Europe/Berlin")
    );
    assert_eq!(time_zone_name("UTC").as_deref(), Some("UTC"));
    for unknown in ["", "Mars/Olympus", "../../etc/passwd", "UTC+1\0", "+01:00"] {
        assert_eq!(time_zone_name(unknown), None, "{unknown}");
    }
    assert_eq!(time_zone_name(&"Europe/Berlin".repeat(10)), None);
    let names = time_zone_names();
    for zone in ZONES {
        assert!(names.iter().any(|n| n == zone), "{zone}");
    }
    let unknown = PeriodRule::new("Mars/Olympus", 1);
    assert_eq!(unknown, PeriodRule::new("UTC", 1));
}

#[test]
fn a_time_is_shown_as_it_is_there() {
    let rule = PeriodRule::new("Europe/Berlin", 1);
    let end = at("2026-11-30T23:00:00Z");
    assert_eq!(rule.date(end), "2026-12-01");
    assert_eq!(rule.offset_secs(end), 3_600);
    for at in [i64::MIN, i64::MAX] {
        let found = rule.period(Timestamp(at));
        assert!(found.start <= Timestamp(at), "{found:?}");
        assert_eq!(rule.offset_secs(Timestamp(at)), 0);
    }
}

proptest! {
    /// Periods adjoin, and each begins on its day.
    #[test]
    fn every_moment_is_in_one_period(
        zone in prop::sample::select(&ZONES[..]),
        day in 1_u8..=31,
        secs in 0_i64..4_000_000_000,
    ) {
        let rule = PeriodRule::new(zone, day);
        let now = Timestamp::from_secs(secs);
        let Period { start, end } = rule.period(now);
        prop_assert!(start <= now && now < end);
        // Kiribati and Samoa skipped a day once.
        prop_assert!((27 * DAY..=33 * DAY).contains(&(end.0 - start.0)), "{start:?} {end:?}");
        for inside in [start, end.plus_millis(-1)] {
            prop_assert_eq!(rule.period(inside), Period { start, end });
        }
        prop_assert_eq!(rule.period(end).start, end);
        let date = rule.local_date(start).unwrap();
        prop_assert!(date.day() <= rule.day || date.day() == 1 || zone.starts_with("Pacific"));
        prop_assert!(date.day() == rule.day || date == date.last_of_month() || zone.starts_with("Pacific"));
    }

    /// However the clock goes, a period ends no earlier than its end, periods never
    /// overlap, and none is entered twice.
    #[test]
    fn no_clock_enters_a_period_twice(
        zone in prop::sample::select(&ZONES[..]),
        day in 1_u8..=31,
        steps in prop::collection::vec(-70 * DAY..70 * DAY, 1..60),
    ) {
        let rule = PeriodRule::new(zone, day);
        let mut now = Timestamp::from_secs(1_795_478_400);
        let mut current = rule.period(now);
        for step in steps {
            now = now.plus_millis(step);
            match current.next(&rule, now) {
                Some(next) => {
                    prop_assert!(now >= current.end);
                    prop_assert!(next.start >= current.end && next.end > next.start);
                    prop_assert!(next.start <= now && now < next.end);
                    prop_assert_eq!(next.next(&rule, now), None);
                    current = next;
                }
                None => prop_assert!(now < current.end),
            }
        }
    }

    /// Moving between zones gains nothing: so many months end as months pass.
    #[test]
    fn no_move_gains_a_month(
        moves in prop::collection::vec((0..ZONES.len(), 0_i64..3 * DAY), 1..200),
        day in 1_u8..=31,
    ) {
        let begin = Timestamp::from_secs(1_795_478_400);
        let mut now = begin;
        let mut rule = PeriodRule::new("UTC", day);
        let mut current = rule.period(now);
        let mut ended = 0;
        for (zone, pause) in moves {
            now = now.plus_millis(pause);
            let to = PeriodRule::new(ZONES[zone], day);
            current = current.in_zone(&rule, &to);
            rule = to;
            while let Some(next) = current.next(&rule, now) {
                (current, ended) = (next, ended + 1);
            }
        }
        let months = (now.0 - begin.0) / (28 * DAY) + 2;
        prop_assert!(ended <= months, "{ended} months ended in {months}");
    }
}
