//! The live speed chart. The lines are stretched to the card; the texts are
//! HTML beside them, so that they are as large on a phone.

use crate::{
    tenant::LiveData,
    ui::chart::{HEIGHT, WIDTH, chart},
};
use domain::view::UsageView;
use leptos::prelude::*;

/// Shows the speed of the last minute.
#[component]
pub fn SpeedChart(live: LiveData, usage: RwSignal<UsageView>) -> impl IntoView {
    let drawing = live.derive_with(usage, |v, usage| chart(&usage.speed, v.now));
    view! {
        <section class="card" aria-labelledby="speed-title">
            <div class="hd">
                <h2 id="speed-title">"Speed"</h2>
                <span class="s">
                    <span class="text-down" aria-hidden="true">"●"</span>
                    " down "
                    <span class="ms-2 text-up" aria-hidden="true">"●"</span>
                    " up, Mb/s"
                </span>
                <span class="xs ms-auto">"Live, the last minute"</span>
            </div>
            // Time runs from left to right, also in right-to-left text.
            <div
                class="grid grid-cols-[auto_minmax(0,1fr)] gap-x-2.5 gap-y-1.5 px-[18px] pt-1 pb-3.5"
                dir="ltr"
            >
                <div
                    class="xs num -my-2 flex flex-col justify-between text-end"
                    aria-hidden="true"
                    inner_html=move || drawing.with(|c| c.scale.clone())
                ></div>
                <svg
                    class="block h-40 w-full md:h-48"
                    viewBox=format!("0 0 {WIDTH} {HEIGHT}")
                    preserveAspectRatio="none"
                    overflow="visible"
                    role="img"
                    aria-label=move || drawing.with(|c| c.summary.clone())
                    inner_html=move || drawing.with(|c| c.paths.clone())
                ></svg>
                <div class="xs num col-start-2 flex justify-between" aria-hidden="true">
                    <span>"60 s"</span>
                    <span>"45 s"</span>
                    <span>"30 s"</span>
                    <span>"15 s"</span>
                    <span>"now"</span>
                </div>
            </div>
        </section>
    }
}
