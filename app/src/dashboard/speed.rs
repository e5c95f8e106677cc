//! The live speed chart. The lines are stretched to the card; the texts are
//! HTML beside them, so that they keep their size on a phone.

use super::{
    chart::{self, Chart},
    live::Live,
};
use leptos::prelude::*;

/// The last minute's speed.
#[component]
pub fn SpeedChart(
    /// The page's data.
    live: Live,
) -> impl IntoView {
    let drawn = Memo::new(move |_| live.view.with(|v| chart::chart(&v.speed, v.now)));
    let words = Memo::new(move |_| live.view.with(|v| chart::in_words(&v.speed)));
    let part = move |get: fn(&Chart) -> String| Memo::new(move |_| drawn.with(get));
    let (area, down, up) = (
        part(|c| c.area.clone()),
        part(|c| c.down.clone()),
        part(|c| c.up.clone()),
    );
    let mark = move |i: usize| Memo::new(move |_| drawn.with(|c| c.marks[i].clone()));
    let rule = |i: usize| {
        let y = chart::HEIGHT * i as f64 / 3.0;
        view! {
            <path
                d=format!("M0 {y:.1}H{}", chart::WIDTH)
                stroke="var(--line)"
                vector-effect="non-scaling-stroke"
            ></path>
        }
    };
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
            // Time runs from left to right whatever the text does.
            <div
                class="grid grid-cols-[auto_minmax(0,1fr)] gap-x-2.5 gap-y-1.5 px-[18px] pt-1 pb-3.5"
                dir="ltr"
            >
                <div
                    class="xs num -my-2 flex flex-col justify-between text-end"
                    aria-hidden="true"
                >
                    {(0..4).map(|i| view! { <span>{mark(i)}</span> }).collect_view()}
                </div>
                <svg
                    class="block h-40 w-full md:h-48"
                    viewBox=format!("0 0 {} {}", chart::WIDTH, chart::HEIGHT)
                    preserveAspectRatio="none"
                    overflow="visible"
                    role="img"
                    aria-label=words
                >
                    {(0..4).map(rule).collect_view()}
                    <path d=area fill="var(--down)" fill-opacity="0.1"></path>
                    <path
                        d=down
                        fill="none"
                        stroke="var(--down)"
                        stroke-width="2"
                        stroke-linejoin="round"
                        vector-effect="non-scaling-stroke"
                    ></path>
                    <path
                        d=up
                        fill="none"
                        stroke="var(--up)"
                        stroke-width="2"
                        stroke-linejoin="round"
                        vector-effect="non-scaling-stroke"
                    ></path>
                </svg>
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
