//! What a change of a plan means for those who have it: pure functions, whose results
//! the step before the change shows.

use crate::ui::{
    plan_text,
    quantity::{DATA, SPEED, exact},
};
use domain::{
    AtLimit, Plan,
    view::{PlanImpact, TenantNames},
};

/// A term of a plan that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub term: &'static str,
    pub before: String,
    pub after: String,
}

/// Returns the terms that change for the tenants of a plan. Its name and how it is
/// offered to visitors are none of them.
pub fn changes(before: &Plan, after: &Plan) -> Vec<Change> {
    let terms = terms(before).into_iter().zip(terms(after));
    terms
        .filter(|((_, before), (_, after))| before != after)
        .map(|((term, before), (_, after))| Change {
            term,
            before,
            after,
        })
        .collect()
}

fn terms(plan: &Plan) -> [(&'static str, String); 6] {
    let speed = |bps: Option<u64>| bps.map_or_else(|| "no limit".to_owned(), |n| exact(n, &SPEED));
    let data = |n: u64| exact(n, &DATA);
    let at_limit = match (plan.monthly_bytes, plan.at_limit) {
        (None, _) => "–".to_owned(),
        (_, AtLimit::Slow) => format!("slower, {}", exact(plan.slow_bps, &SPEED)),
        (_, AtLimit::Stop) => "stopped".to_owned(),
    };
    [
        ("Devices", plan.devices.to_string()),
        (
            "Data a month",
            plan.monthly_bytes
                .map_or_else(|| "no limit".to_owned(), data),
        ),
        ("Speed down", speed(plan.down_bps)),
        ("Speed up", speed(plan.up_bps)),
        ("At the limit", at_limit),
        ("The month begins", plan_text::month_day(plan.month_day)),
    ]
}

/// Returns the sentences about tenants for whom more than a number changes, each with
/// whether it is for the worse.
pub fn consequences(impact: &PlanImpact, after: &Plan) -> Vec<(bool, String)> {
    let then = match after.at_limit {
        AtLimit::Slow => "slower",
        AtLimit::Stop => "stopped",
    };
    let devices = plan_text::devices(after);
    let groups = [
        (
            &impact.over_data,
            true,
            [
                format!("has used more than this already and is {then} at once"),
                format!("have used more than this already and are {then} at once"),
            ],
        ),
        (
            &impact.over_devices,
            true,
            [
                format!("has more than {devices}, keeps them and can add none"),
                format!("have more than {devices}, keep them and can add none"),
            ],
        ),
        (
            &impact.reopened,
            false,
            [
                "has used up its data and is back at full speed at once".to_owned(),
                "have used up their data and are back at full speed at once".to_owned(),
            ],
        ),
    ];
    groups
        .into_iter()
        .filter(|(names, ..)| names.count > 0)
        .map(|(names, is_worse, [one, many])| {
            let text = if names.count == 1 { one } else { many };
            let text = format!("{} {text}: {}.", tenants(names.count), list(names));
            (is_worse, text)
        })
        .collect()
}

/// Returns "1 tenant" or "3 tenants".
pub fn tenants(count: u32) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} tenant{s}")
}

/// Returns "a, b and 3 more".
fn list(names: &TenantNames) -> String {
    let listed = names.first.join(", ");
    let shown = u32::try_from(names.first.len()).unwrap_or(u32::MAX);
    match names.count.saturating_sub(shown) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::fixture;

    #[test]
    fn only_changed_terms_are_listed() {
        let before = fixture::plan();
        let mut after = before.clone();
        after.name = "Family".to_owned();
        after.visible = false;
        assert_eq!(changes(&before, &after), [], "no tenant is touched");
        after.down_bps = Some(50_000_000);
        after.at_limit = AtLimit::Stop;
        let listed = changes(&before, &after);
        let text: Vec<String> = listed
            .iter()
            .map(|c| format!("{}: {} to {}", c.term, c.before, c.after))
            .collect();
        assert_eq!(
            text,
            [
                "Speed down: no limit to 50 Mb/s",
                "At the limit: slower, 1 Mb/s to stopped"
            ]
        );
    }

    #[test]
    fn those_who_lose_something_are_named() {
        let names = |count, first: &[&str]| TenantNames {
            count,
            first: first.iter().map(|n| (*n).to_owned()).collect(),
        };
        let impact = PlanImpact {
            tenants: 20,
            over_devices: names(12, &["abcd", "lina"]),
            over_data: names(1, &["omar"]),
            reopened: names(0, &[]),
        };
        let told = consequences(&impact, &fixture::plan());
        assert_eq!(
            told,
            [
                (
                    true,
                    "1 tenant has used more than this already and is slower at once: omar."
                        .to_owned()
                ),
                (
                    true,
                    "12 tenants have more than 10 devices, keep them and can add none: abcd, lina and 10 more."
                        .to_owned()
                ),
            ]
        );
    }
}
