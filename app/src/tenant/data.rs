//! The data of a tenant's month in words: how much is used, until when, and what that
//! means. These functions are pure; components only draw their results.

use super::live::Derived;
use crate::ui::{
    Glyph, Icon, Tone, format,
    quantity::{DATA, SPEED, exact},
};
use domain::{AtLimit, QuotaState, view::DataView};
use leptos::prelude::*;

/// What a banner says about the data of the month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub tone: Tone,
    /// What holds, e.g. "This month's data is used up.".
    pub title: &'static str,
    /// What it means, until when, and what to do.
    pub text: String,
}

/// The bar below the number of bytes that are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The plan's bytes per month.
    pub limit: u64,
    /// The bytes that are used, at most `limit`.
    pub used: u64,
    /// The classes of the element.
    pub class: &'static str,
}

/// Returns when the next month begins, by the tenant's calendar: "1 December".
pub fn next_month(data: &DataView) -> String {
    format::local_date(data.period_end, data.end_offset_secs)
}

/// Returns until when the network is slower or stopped: "1 December (Europe/Berlin)".
fn until(data: &DataView) -> String {
    format!("{} ({})", next_month(data), data.time_zone)
}

/// Returns the share that is used in whole per cent, rounded down; `None` without a
/// limit.
pub fn percent(data: &DataView) -> Option<u64> {
    let limit = data.limit_bytes?.max(1);
    // Limits are 1 PB at most, so the product fits unless far more is used.
    Some(data.used_bytes.saturating_mul(100) / limit)
}

/// Returns the bar, where there is a limit.
pub fn bar(data: &DataView) -> Option<Bar> {
    let limit = data.limit_bytes?;
    Some(Bar {
        limit,
        used: data.used_bytes.min(limit),
        class: match data.state {
            QuotaState::Open => "meter mt-[7px] mb-[3px]",
            QuotaState::Warned => "meter meter-warn mt-[7px] mb-[3px]",
            QuotaState::Slowed | QuotaState::Stopped => "meter meter-bad mt-[7px] mb-[3px]",
        },
    })
}

/// Returns the line below the bar: "of 500 GB · 63 % · until 1 December".
pub fn note(data: &DataView) -> String {
    let end = next_month(data);
    let Some((limit, percent)) = data.limit_bytes.zip(percent(data)) else {
        return format!("no limit in your plan · counted until {end}");
    };
    let limit = exact(limit, &DATA);
    match data.state {
        QuotaState::Open | QuotaState::Warned => {
            format!("of {limit} · {percent} % · until {end}")
        }
        QuotaState::Slowed => format!("of {limit} · used up: slower until {end}"),
        QuotaState::Stopped => format!("of {limit} · used up: stopped until {end}"),
    }
}

/// Returns what a banner says; `None` while less than 80 % is used.
pub fn notice(data: &DataView) -> Option<Notice> {
    let slow = exact(data.slow_bps, &SPEED);
    let until = until(data);
    let (tone, title, text) = match data.state {
        QuotaState::Open => return None,
        QuotaState::Warned => {
            let then = match data.at_limit {
                AtLimit::Slow => format!("your network runs at {slow} only"),
                AtLimit::Stop => "your devices reach only DNS and each other".to_owned(),
            };
            let text = format!(
                "Once all of it is used, {then}, until {until}. Put off large downloads, or ask \
                 the operator for a larger plan."
            );
            (Tone::Warn, "Most of this month's data is used.", text)
        }
        QuotaState::Slowed => {
            let text = format!(
                "Until {until} your network runs at {slow}. DNS and this dashboard work as \
                 before. Put off large downloads, or ask the operator for a larger plan."
            );
            (Tone::Warn, "This month's data is used up.", text)
        }
        QuotaState::Stopped => {
            let text = format!(
                "Until {until} your devices reach only DNS and each other. This dashboard works \
                 as before. If you need more sooner, ask the operator for a larger plan."
            );
            (Tone::Bad, "This month's data is used up.", text)
        }
    };
    Some(Notice { tone, title, text })
}

/// The banner at 80 % and at 100 % of the month's data.
#[component]
pub fn DataBanner(
    /// What [`notice`] returns of the data.
    notice: Derived<Option<Notice>>,
) -> impl IntoView {
    // The element exists before the banner does, so that screen readers announce it.
    view! {
        <div role="status" class="empty:hidden">
            {move || {
                notice
                    .get()
                    .map(|n| {
                        let class = match n.tone {
                            Tone::Bad => "banner banner-bad",
                            _ => "banner banner-warn",
                        };
                        view! {
                            <div class=class>
                                <Icon glyph=Glyph::Alert/>
                                <p>
                                    <b>{n.title}</b>
                                    " "
                                    {n.text}
                                </p>
                            </div>
                        }
                    })
            }}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;

    fn used(used_bytes: u64, at_limit: AtLimit) -> DataView {
        let limit = Some(100_000_000_000);
        let state = QuotaState::of_limit(used_bytes, limit, at_limit);
        // 2026-11-30T23:00:00Z
        let end = Timestamp::from_secs(1_796_079_600);
        DataView {
            used_bytes,
            limit_bytes: limit,
            state,
            at_limit,
            slow_bps: 1_000_000,
            period_start: Timestamp::from_secs(1_793_487_600),
            period_end: end,
            until: state.is_used_up().then_some(end),
            time_zone: "Europe/Berlin".to_owned(),
            end_offset_secs: 3_600,
        }
    }

    #[test]
    fn the_use_is_told_with_its_limit_and_end() {
        let open = used(63_900_000_000, AtLimit::Slow);
        assert_eq!(note(&open), "of 100 GB · 63 % · until 1 December");
        assert_eq!(notice(&open), None);
        assert_eq!(bar(&open).map(|b| b.used), Some(63_900_000_000));
        let over = used(230_000_000_000, AtLimit::Stop);
        assert_eq!(note(&over), "of 100 GB · used up: stopped until 1 December");
        assert_eq!(bar(&over).map(|b| b.used), Some(100_000_000_000));
        let unlimited = DataView {
            limit_bytes: None,
            ..open
        };
        assert_eq!(
            note(&unlimited),
            "no limit in your plan · counted until 1 December"
        );
        assert_eq!(bar(&unlimited), None);
    }

    #[test]
    fn a_banner_says_what_it_means_and_until_when() {
        for (gigabytes, at_limit, title, means) in [
            (80, AtLimit::Slow, "Most of", "runs at 1 Mb/s only, until"),
            (99, AtLimit::Stop, "Most of", "only DNS and each other"),
            (100, AtLimit::Slow, "used up", "runs at 1 Mb/s. DNS"),
            (100, AtLimit::Stop, "used up", "only DNS and each other"),
        ] {
            let notice = notice(&used(gigabytes * 1_000_000_000, at_limit)).unwrap();
            assert!(notice.title.contains(title), "{notice:?}");
            for part in [means, "ntil 1 December (Europe/Berlin)", "ask the operator"] {
                assert!(notice.text.contains(part), "{part}: {notice:?}");
            }
        }
    }
}
