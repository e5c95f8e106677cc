//! A tenant's overview: how everything is, now. One island draws it and keeps
//! it up to date; without JavaScript it is the page as it was when it was
//! asked for.

pub mod chart;
mod kpis;
pub mod live;
#[cfg(feature = "ssr")]
mod page;
mod speed;
pub mod state;

#[cfg(feature = "ssr")]
pub use page::OverviewPage;

use crate::{
    devices::{Back, DevicesCard},
    live::Reconnecting,
    mesh::{Frame, MeshPicture},
    ui::{Banner, Glyph, Icon},
};
use domain::{Failure, view::DashboardView};
use kpis::Kpis;
use leptos::prelude::*;
use live::Live;
use speed::SpeedChart;

/// The overview, whole.
#[island]
pub fn LiveDashboard(
    /// What the server knew when it rendered the page.
    initial: DashboardView,
    /// What was refused, after a plain POST of one of the table's forms.
    failure: Option<Failure>,
) -> impl IntoView {
    let live = Live::start(initial);
    view! {
        <div class="row">
            <h1>"Overview"</h1>
            <HealthChip live=live/>
            <Reconnecting open=live.open/>
            <a class="btn ms-auto" href="/dns/open" target="_blank" rel="noopener">
                "Open AdGuard Home"
                <Icon glyph=Glyph::External class="icon-s"/>
            </a>
        </div>
        <Troubles live=live/>
        <Kpis live=live/>
        <div class="two">
            <SpeedChart live=live/>
            <section class="card" aria-labelledby="mesh-title">
                <div class="hd">
                    <h2 id="mesh-title">"Mesh"</h2>
                    <a class="s ms-auto hover:underline" href="/mesh">"Open"</a>
                </div>
                <div class="px-2.5 pb-2.5">
                    <MeshPicture live=live frame=Frame::SMALL/>
                </div>
            </section>
        </div>
        <DevicesCard live=live back=Back::Overview failure=failure/>
    }
}

/// "Tunnel up · DNS answering".
#[component]
pub fn HealthChip(
    /// The page's data.
    live: Live,
) -> impl IntoView {
    let health = live.follow(|v| state::health(&v.status));
    view! {
        <span role="status" class=move || health.with(|h| h.tone.chip())>
            <span
                class=move || health.with(|h| format!("{} shadow-none", h.tone.dot()))
                aria-hidden="true"
            ></span>
            {move || health.with(|h| h.text.clone())}
        </span>
    }
}

/// A banner for every problem, with what to do about it.
#[component]
pub fn Troubles(
    /// The page's data.
    live: Live,
) -> impl IntoView {
    let troubles = live.follow(|v| state::troubles(&v.status));
    // There before any banner is, so that screen readers are told when one comes.
    view! {
        <div role="status" class="grid gap-2 empty:hidden">
            {move || {
                troubles
                    .get()
                    .into_iter()
                    .map(|(about, problem)| view! { <Banner problem=problem about=about/> })
                    .collect_view()
            }}
        </div>
    }
}
