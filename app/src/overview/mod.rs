//! A tenant's overview. One island draws it and keeps it up to date; without
//! JavaScript it shows the state at the time of the request.

mod kpis;
#[cfg(feature = "ssr")]
mod page;
mod speed;

#[cfg(feature = "ssr")]
pub use page::OverviewPage;

use crate::{
    devices::{DevicesCard, ReturnPage},
    event_stream::{Reconnecting, decode, subscribe},
    forms::Refusal,
    mesh::{Frame, MeshPicture},
    tenant::{DataBanner, Derived, HealthChip, LiveData, ProblemBanners, data, status::problems},
    ui::{Glyph, Icon},
};
use domain::{
    Topic,
    view::{DashboardView, UsageView},
};
use kpis::Kpis;
use leptos::prelude::*;
use speed::SpeedChart;

/// The overview's content, live.
#[island]
pub fn LiveDashboard(
    /// The data at the time the page was rendered.
    initial: DashboardView,
    /// What was refused, after a plain POST of one of the table's forms.
    failure: Option<Refusal>,
) -> impl IntoView {
    let live = LiveData::new(initial.network);
    let usage = RwSignal::new(initial.usage);
    let on_event = move |text: String| {
        if let Some(DashboardView {
            network,
            usage: new,
        }) = decode(&text)
        {
            usage.set(new);
            live.view.set(network);
        }
    };
    subscribe(Topic::Overview, live.connected, Box::new(on_event));
    view! {
        <div class="row">
            <h1>"Overview"</h1>
            <HealthChip live=live/>
            <Reconnecting connected=live.connected/>
            <a class="btn ms-auto" href="/dns/open" target="_blank" rel="noopener">
                "Open AdGuard Home"
                <Icon glyph=Glyph::External class="icon-s"/>
            </a>
        </div>
        <ProblemBanners problems=live.derive(|v| problems(&v.status))/>
        <DataBanner notice=Derived::of(usage, |u: &UsageView| data::notice(&u.data))/>
        <Kpis live=live usage=usage/>
        <div class="two">
            <SpeedChart live=live usage=usage/>
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
        <DevicesCard live=live return_page=ReturnPage::Overview failure=failure/>
    }
}
