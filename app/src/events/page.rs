//! `/events`.

use super::{EventList, EventText};
use crate::{
    context,
    loader::load,
    tenant::status,
    ui::{Banner, EmptyState, Glyph, NavItem, PageHead, PageShell},
};
use domain::Failure;
use leptos::prelude::*;

/// Renders the events, with the present state of the network above them.
#[component]
pub fn EventsPage() -> impl IntoView {
    let texts = context::texts();
    let ready = context::control().and_then(|c| Ok((c, context::tenant()?)));
    load(async move {
        let (control, scope) = ready?;
        let view = control.events().list(&scope).await?;
        let status = texts.tenant_status(view.status);
        let (health, problems) = (status::health(&status), status::problems(&status));
        let rows = view.rows.into_iter().map(|row| EventText {
            at: row.at,
            category: row.category,
            text: texts.tenant_event(&row.kind),
        });
        let rows: Vec<_> = rows.collect();
        let list = if rows.is_empty() {
            view! {
                <EmptyState
                    glyph=Glyph::Log
                    title="Nothing has happened yet"
                    text="When a part of your network fails, or is changed on the server from outside, it is repaired and listed here."
                />
            }
            .into_any()
        } else {
            view! { <EventList rows=rows now=view.now/> }.into_any()
        };
        Ok::<_, Failure>(view! {
            <PageShell current=NavItem::Events who=scope.name().to_string() title="Events">
                <PageHead title="Events">
                    <span class=health.tone.chip()>
                        <span
                            class=format!("{} shadow-none", health.tone.dot())
                            aria-hidden="true"
                        ></span>
                        {health.text}
                    </span>
                </PageHead>
                {problems
                    .into_iter()
                    .map(|(about, problem)| view! { <Banner problem=problem about=about/> })
                    .collect_view()}
                <section class="card" aria-labelledby="events-title">
                    <div class="hd">
                        <h2 id="events-title">"What happened"</h2>
                        <span class="xs">"newest first, deleted after 90 days"</span>
                    </div>
                    {list}
                </section>
            </PageShell>
        })
    })
}
