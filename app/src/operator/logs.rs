//! The event log and the audit log on the operator's home page.

use crate::{
    events::{EventList, EventText},
    ui::{EmptyState, Glyph, RelativeTime},
};
use domain::{Timestamp, view::AuditRow};
use leptos::prelude::*;

/// The newest events.
#[component]
pub fn Events(rows: Vec<EventText>, now: Timestamp) -> impl IntoView {
    let list = if rows.is_empty() {
        view! {
            <EmptyState
                glyph=Glyph::Alert
                title="Nothing has happened yet"
                text="Failures, recoveries and external changes on this server are listed here."
            />
        }
        .into_any()
    } else {
        view! { <EventList rows=rows now=now/> }.into_any()
    };
    view! {
        <section class="card" aria-labelledby="events">
            <div class="hd">
                <h2 id="events">"Events"</h2>
                <span class="xs">"newest first; all of them: " <code>"maliknode events"</code></span>
            </div>
            {list}
        </section>
    }
}

/// The newest entries of the audit log.
#[component]
pub fn Audit(rows: Vec<AuditRow>, now: Timestamp) -> impl IntoView {
    let empty = rows.is_empty();
    view! {
        <section class="card" aria-labelledby="audit">
            <div class="hd">
                <h2 id="audit">"Audit log"</h2>
                <span class="xs">"newest first; "<a class="link" href="/audit">"all of them"</a></span>
            </div>
            {if empty {
                view! {
                    <EmptyState
                        glyph=Glyph::Log
                        title="Nothing yet"
                        text="Every change by a tenant or an operator is recorded here."
                    />
                }
                    .into_any()
            } else {
                view! {
                    // Nothing in it takes the focus: it does itself, to be scrolled by keyboard.
                    <div class="scroll" tabindex="0" role="group" aria-labelledby="audit">
                        <table class="table">
                            <thead>
                                <tr>
                                    <th scope="col">"When"</th>
                                    <th scope="col">"Who"</th>
                                    <th scope="col">"What"</th>
                                    <th scope="col">"To what"</th>
                                </tr>
                            </thead>
                            <tbody>
                                {rows
                                    .into_iter()
                                    .map(|row| {
                                        view! {
                                            <tr>
                                                <td class="s">
                                                    <RelativeTime at=row.at now=now/>
                                                </td>
                                                <td>{row.actor}</td>
                                                <td class="mono">{row.action}</td>
                                                <td class="wrap">{row.object}</td>
                                            </tr>
                                        }
                                    })
                                    .collect_view()}
                            </tbody>
                        </table>
                    </div>
                }
                    .into_any()
            }}
        </section>
    }
}
