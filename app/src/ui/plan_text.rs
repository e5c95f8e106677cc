//! What a plan gives, in the words of the landing page, of the sign-up and of the
//! operator's pages.

use super::quantity::{DATA, SPEED, exact};
use domain::{AtLimit, Plan};

/// Formats a plan's data: "500 GB a month" or "No data limit".
pub fn data(plan: &Plan) -> String {
    match plan.monthly_bytes {
        None => "No data limit".to_owned(),
        Some(bytes) => format!("{} a month", exact(bytes, &DATA)),
    }
}

/// Formats a plan's speed: "200 Mb/s down, 50 Mb/s up", "50 Mb/s each way" or "No
/// speed limit".
pub fn speed(plan: &Plan) -> String {
    let one = |bps: Option<u64>| bps.map_or_else(|| "no limit".to_owned(), |n| exact(n, &SPEED));
    match (plan.down_bps, plan.up_bps) {
        (None, None) => "No speed limit".to_owned(),
        (Some(down), Some(up)) if down == up => format!("{} each way", exact(down, &SPEED)),
        (Some(down), up) => format!("{} down, {} up", exact(down, &SPEED), one(up)),
        (None, up) => format!("No limit down, {} up", one(up)),
    }
}

/// Says what happens once the data of a month are used up; `None` where that cannot
/// be.
pub fn at_limit(plan: &Plan) -> Option<String> {
    plan.monthly_bytes?;
    Some(match plan.at_limit {
        AtLimit::Slow => format!(
            "then {} until your month begins again",
            exact(plan.slow_bps, &SPEED)
        ),
        AtLimit::Stop => {
            "then only DNS and your devices among each other, until your month begins again"
                .to_owned()
        }
    })
}

/// Says everything in one line, for a choice between plans.
pub fn summary(plan: &Plan) -> String {
    let then = at_limit(plan).map_or_else(String::new, |then| format!(", {then}"));
    format!("{} · {} · {}{then}", devices(plan), speed(plan), data(plan))
}

/// Formats a plan's number of devices: "5 devices".
pub fn devices(plan: &Plan) -> String {
    let s = if plan.devices == 1 { "" } else { "s" };
    format!("{} device{s}", plan.devices)
}

/// Says on which day of the month a plan's month begins: "on day 1" or "on day 31, in
/// shorter months on the last day".
pub fn month_day(day: u8) -> String {
    let shorter = if day > 28 {
        ", in shorter months on the last day"
    } else {
        ""
    };
    format!("on day {day}{shorter}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::fixture;

    #[test]
    fn a_plan_is_described_as_it_is() {
        let mut plan = fixture::plan();
        let s = summary(&plan);
        assert_eq!(
            s,
            "10 devices · No speed limit · 500 GB a month, then 1 Mb/s until your month begins again"
        );
        plan.at_limit = AtLimit::Stop;
        let then = at_limit(&plan).unwrap_or_default();
        assert!(then.contains("only DNS and your devices"), "{then}");
        assert_eq!(month_day(28), "on day 28");
        assert!(month_day(29).ends_with("in shorter months on the last day"));
        plan.monthly_bytes = None;
        assert_eq!(
            (data(&plan).as_str(), at_limit(&plan)),
            ("No data limit", None)
        );
        plan.devices = 1;
        assert_eq!(devices(&plan), "1 device");
        for (down, up, text) in [
            (
                Some(200_000_000),
                Some(50_000_000),
                "200 Mb/s down, 50 Mb/s up",
            ),
            (Some(50_000_000), Some(50_000_000), "50 Mb/s each way"),
            (Some(1_500_000_000), None, "1.5 Gb/s down, no limit up"),
            (None, Some(64_000), "No limit down, 64 kb/s up"),
            (None, None, "No speed limit"),
        ] {
            (plan.down_bps, plan.up_bps) = (down, up);
            assert_eq!(speed(&plan), text);
        }
    }
}
