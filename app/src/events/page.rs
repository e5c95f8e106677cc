//! `/events`.

use super::EventList;
use crate::{
    context,
    dashboard::state,
    ui::{Banner, EmptyState, Glyph, Here, PageHead, PageShell, load},
};
use domain::Failure;
use leptos::prelude::*;

/// What happened, and above it how everything is by now.
#[component]
pub fn EventsPage() -> impl IntoView {
    let ready = context::control().and_then(|c| Ok((c, context::tenant()?)));
    load(async move {
        let (control, scope) = ready?;
        let view = control.events(&scope).await?;
        let health = state::health(&view.status);
        let troubles = state::troubles(&view.status);
        let list = if view.rows.is_empty() {
            view! {
                <EmptyState
                    glyph=Glyph::Log
                    title="Nothing has happened yet"
                    text="When a part of your network fails, or somebody changes it on the server, it is put right and told here."
                />
            }
            .into_any()
        } else {
            view! { <EventList rows=view.rows now=view.now/> }.into_any()
        };
        Ok::<_, Failure>(view! {
            <PageShell here=Here::Events who=scope.name().to_string() title="Events">
                <PageHead title="Events">
                    <span class=health.tone.chip()>
                        <span
                            class=format!("{} shadow-none", health.tone.dot())
                            aria-hidden="true"
                        ></span>
                        {health.text}
                    </span>
                </PageHead>
                {troubles
                    .into_iter()
                    .map(|(about, problem)| view! { <Banner problem=problem about=about/> })
                    .collect_view()}
                <section class="card" aria-labelledby="events-title">
                    <div class="hd">
                        <h2 id="events-title">"What happened"</h2>
                        <span class="xs">"newest first, kept for 90 days"</span>
                    </div>
                    {list}
                </section>
            </PageShell>
        })
    })
}
