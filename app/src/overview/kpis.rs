//! The four key figures at the top of the overview.

use crate::{
    tenant::{
        Derived, LiveData,
        data::{self, Bar},
        state::totals,
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
    in_plan: String,
    down: (String, &'static str),
    up: String,
    blocked: String,
    blocked_unit: &'static str,
    queries: String,
    month: (String, &'static str),
    month_note: String,
}

impl KeyFigures {
    fn of(view: &NetworkView, usage: &UsageView) -> Self {
        let totals = totals(view);
        let queries = usage.queries;
        Self {
            online: totals.online.to_string(),
            of: format!("of {}", totals.devices),
            in_plan: format!("{} in your plan", view.plan.devices),
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
            month: format::bytes_parts(usage.data.used_bytes),
            month_note: data::note(&usage.data),
        }
    }
}

/// Shows devices online, speed now, blocked DNS queries and the month's data.
#[component]
pub fn Kpis(live: LiveData, usage: RwSignal<UsageView>) -> impl IntoView {
    let now = live.derive_with(usage, KeyFigures::of);
    let bar = Derived::of(usage, |u: &UsageView| data::bar(&u.data));
    let has_limit = Derived::of(usage, |u: &UsageView| u.data.limit_bytes.is_some());
    view! {
        <div class="card kpis">
            <div class="kpi">
                <small>"Devices online"</small>
                <b>
                    {move || now.with(|n| n.online.clone())}" "
                    <span>{move || now.with(|n| n.of.clone())}</span>
                </b>
                <span class="xs">{move || now.with(|n| n.in_plan.clone())}</span>
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
                {move || has_limit.get().then(|| view! { <Meter bar=bar/> })}
                <span class="xs">{move || now.with(|n| n.month_note.clone())}</span>
            </div>
        </div>
    }
}

/// The share of the month's data that is used. The text below it says the same.
#[component]
fn Meter(bar: Derived<Option<Bar>>) -> impl IntoView {
    view! {
        <progress
            class=move || bar.with(|b| b.as_ref().map_or("meter", |b| b.class))
            aria-label="Used of this month's data"
            max=move || bar.with(|b| b.as_ref().map_or(1, |b| b.limit))
            value=move || bar.with(|b| b.as_ref().map_or(0, |b| b.used))
        ></progress>
    }
}
