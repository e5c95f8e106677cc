//! The four numbers above everything else.

use super::{
    live::Live,
    state::{Totals, month_note, totals},
};
use crate::ui::format;
use leptos::prelude::*;

/// Devices online, speed now, what DNS blocked, the month's data.
#[component]
pub fn Kpis(
    /// The page's data.
    live: Live,
) -> impl IntoView {
    let sum = Memo::new(move |_| live.view.with(totals));
    let plan = live.view.with_untracked(|v| v.plan.clone());
    let month = Memo::new(move |_| live.view.with(|v| (v.month_bytes, month_note(v))));
    let queries = Memo::new(move |_| live.view.with(|v| v.queries));
    let down = move || format::bits_parts(sum.get().down_bps);
    view! {
        <div class="card kpis">
            <div class="kpi">
                <small>"Devices online"</small>
                <b>
                    {move || sum.get().online}" "
                    <span>"of " {move || sum.get().devices}</span>
                </b>
                <span class="xs">{format!("{} in your plan", plan.devices)}</span>
            </div>
            <div class="kpi">
                <small>"Down now"</small>
                <b>{move || down().0}" "<span>{move || down().1}</span></b>
                <span class="xs">"up " {move || up(sum.get())}</span>
            </div>
            <div class="kpi">
                <small>"Queries blocked today"</small>
                <b>
                    {move || {
                        queries.get().map_or("–".to_owned(), |q| format::percent(q.blocked, q.total))
                    }}" "<span>{move || queries.get().map(|_| "%")}</span>
                </b>
                <span class="xs">
                    {move || match queries.get() {
                        None => "counted once DNS answers".to_owned(),
                        Some(q) => {
                            format!(
                                "{} of {}",
                                format::thousands(q.blocked),
                                format::thousands(q.total),
                            )
                        }
                    }}
                </span>
            </div>
            <div class="kpi">
                <small>"Data this month"</small>
                <b>
                    {move || format::bytes_parts(month.get().0).0}" "
                    <span>{move || format::bytes_parts(month.get().0).1}</span>
                </b>
                {plan
                    .monthly_bytes
                    .map(|limit| {
                        view! {
                            <progress
                                class="meter mt-[7px] mb-[3px]"
                                aria-label="Used of this month's data"
                                max=limit
                                value=move || month.get().0.min(limit)
                            ></progress>
                        }
                    })}
                <span class="xs">{move || month.get().1}</span>
            </div>
        </div>
    }
}

fn up(sum: Totals) -> String {
    format::bits(sum.up_bps)
}
