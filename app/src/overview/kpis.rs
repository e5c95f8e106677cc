//! The four key figures at the top of the overview.

use crate::{
    tenant::{
        LiveData,
        state::{month_note, totals},
    },
    ui::format,
};
use domain::view::{NetworkView, UsageView};
use leptos::prelude::*;

/// The figures, formatted.
#[derive(Clone, PartialEq)]
struct KeyFigures {
    online: String,
    of: String,
    down: (String, &'static str),
    up: String,
    blocked: String,
    blocked_unit: &'static str,
    queries: String,
    month: (String, &'static str),
    month_bytes: u64,
    month_note: String,
}

impl KeyFigures {
    fn of(view: &NetworkView, usage: &UsageView) -> Self {
        let totals = totals(view);
        let queries = usage.queries;
        Self {
            online: totals.online.to_string(),
            of: format!("of {}", totals.devices),
            down: format::bits_parts(totals.down_bps),
            up: format!("up {}", format::bits(totals.up_bps)),
            blocked: queries.map_or("–".to_owned(), |q| format::percent(q.blocked, q.total)),
            blocked_unit: if queries.is_some() { "%" } else { "" },
            queries: queries.map_or("counted once DNS answers".to_owned(), |q| {
                format!(
                    "{} of {}",
                    format::thousands(q.blocked),
                    format::thousands(q.total)
                )
            }),
            month: format::bytes_parts(usage.month_bytes),
            month_bytes: usage.month_bytes,
            month_note: month_note(view),
        }
    }
}

/// Shows devices online, speed now, blocked DNS queries and the month's data.
#[component]
pub fn Kpis(live: LiveData, usage: RwSignal<UsageView>) -> impl IntoView {
    let plan = live.view.with_untracked(|v| v.plan.clone());
    let now = live.derive_with(usage, KeyFigures::of);
    view! {
        <div class="card kpis">
            <div class="kpi">
                <small>"Devices online"</small>
                <b>
                    {move || now.with(|n| n.online.clone())}" "
                    <span>{move || now.with(|n| n.of.clone())}</span>
                </b>
                <span class="xs">{format!("{} in your plan", plan.devices)}</span>
            </div>
            <div class="kpi">
                <small>"Down now"</small>
                <b>
                    {move || now.with(|n| n.down.0.clone())}" "
                    <span>{move || now.with(|n| n.down.1)}</span>
                </b>
                <span class="xs">{move || now.with(|n| n.up.clone())}</span>
            </div>
            <div class="kpi">
                <small>"Queries blocked in 24 hours"</small>
                <b>
                    {move || now.with(|n| n.blocked.clone())}" "
                    <span>{move || now.with(|n| n.blocked_unit)}</span>
                </b>
                <span class="xs">{move || now.with(|n| n.queries.clone())}</span>
            </div>
            <div class="kpi">
                <small>"Data this month"</small>
                <b>
                    {move || now.with(|n| n.month.0.clone())}" "
                    <span>{move || now.with(|n| n.month.1)}</span>
                </b>
                {plan
                    .monthly_bytes
                    .map(|limit| {
                        view! {
                            <progress
                                class="meter mt-[7px] mb-[3px]"
                                aria-label="Used of this month's data"
                                max=limit
                                value=move || now.with(|n| n.month_bytes.min(limit))
                            ></progress>
                        }
                    })}
                <span class="xs">{move || now.with(|n| n.month_note.clone())}</span>
            </div>
        </div>
    }
}
