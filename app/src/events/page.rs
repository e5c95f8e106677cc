//! `/events`.

use super::{EventList, EventText, category_label};
use crate::{
    context,
    loader::load,
    tenant::status,
    ui::{Banner, EmptyState, Glyph, NavItem, PageHead, PageShell, Segmented},
};
use domain::{Failure, view::EventCategory};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The filter: all, or one category, each a link.
fn filter(wanted: Option<EventCategory>) -> Vec<(String, String, bool)> {
    let of = |c: EventCategory| {
        let text = category_label(c).1.to_owned();
        (
            format!("/events?show={}", c.as_str()),
            text,
            wanted == Some(c),
        )
    };
    let all = ("/events".to_owned(), "All".to_owned(), wanted.is_none());
    std::iter::once(all)
        .chain(EventCategory::ALL.into_iter().map(of))
        .collect()
}

/// Renders the events, with the present state of the network above them. `?show=` names
/// a category; one that is unknown counts as not given.
#[component]
pub fn EventsPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let wanted = query.get("show").and_then(|c| EventCategory::parse(&c));
    let texts = context::texts();
    let ready = context::control().and_then(|c| Ok((c, context::tenant_view()?)));
    load(async move {
        let (control, scope) = ready?;
        let view = control.events().list(&scope, wanted).await?;
        let status = texts.tenant_status(view.status);
        let (health, problems) = (status::health(&status), status::problems(&status));
        let rows = view.rows.into_iter().map(|row| EventText {
            at: row.at,
            category: row.category,
            text: texts.tenant_event(&row.kind),
        });
        let rows: Vec<_> = rows.collect();
        let list = if rows.is_empty() && wanted.is_some() {
            view! {
                <EmptyState
                    glyph=Glyph::Log
                    title="Nothing of this kind"
                    text="Other things may have happened."
                >
                    <a class="btn mt-2" href="/events">"Show all"</a>
                </EmptyState>
            }
            .into_any()
        } else if rows.is_empty() {
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
                    <div class="scroll px-[18px] pb-3">
                        <Segmented label="Which events" items=filter(wanted)/>
                    </div>
                    {list}
                </section>
            </PageShell>
        })
    })
}
