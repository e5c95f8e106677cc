//! The list of invitations, a page at a time.

use super::PATH;
use crate::{
    forms,
    ui::{Chip, EmptyState, Glyph, RelativeTime, Tone, format},
};
use domain::{Invitation, InvitationState, Plan, Timestamp};
use leptos::prelude::*;

/// The invitations that are shown at a time.
pub const PAGE_ROWS: u32 = 50;

/// Lists invitations, of which there may be one more than a page has.
#[component]
pub fn List(
    invitations: Vec<Invitation>,
    /// All plans, for their names.
    plans: Vec<Plan>,
    /// Whether it is the first page.
    first: bool,
    may_revoke: bool,
    now: Timestamp,
) -> impl IntoView {
    let has_more = invitations.len() > PAGE_ROWS as usize;
    let rows: Vec<_> = invitations.into_iter().take(PAGE_ROWS as usize).collect();
    let last = rows.last().filter(|_| has_more).map(|i| i.id.to_string());
    let older = last.map(|id| {
        let to = format!("{}#invitations", forms::url_with(PATH, &[("before", &id)]));
        view! { <a class="btn btn-s" rel="next" href=to>"Older"</a> }
    });
    let newest = (!first).then(|| {
        let to = format!("{PATH}#invitations");
        view! { <a class="btn btn-s" rel="first" href=to>"Newest"</a> }
    });
    let has_pages = older.is_some() || newest.is_some();
    let name = move |id: &str| {
        let plan = plans.iter().find(|p| p.id == id);
        plan.map_or_else(|| id.to_owned(), |p| p.name.clone())
    };
    let body = if rows.is_empty() {
        view! {
            <EmptyState
                glyph=Glyph::Person
                title="No invitation yet"
                text="An invitation lets a visitor sign up, also while sign-ups are by invitation only."
            />
        }
        .into_any()
    } else {
        let rows = rows.into_iter().map(|i| {
            let plan = i.plan.as_deref().map_or_else(|| "Any".to_owned(), &name);
            row(i, plan, may_revoke, now)
        });
        view! {
            <div class="scroll">
                <table class="table cards">
                    <thead>
                        <tr>
                            <th scope="col">"Invitation"</th>
                            <th scope="col">"State"</th>
                            <th scope="col">"Plan"</th>
                            <th scope="col" class="e">"Uses left"</th>
                            <th scope="col">"Valid until"</th>
                            <th scope="col"><span class="sr-only">"Actions"</span></th>
                        </tr>
                    </thead>
                    <tbody>{rows.collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <section class="card" aria-labelledby="list">
            <div class="hd">
                <h2 id="list">"Invitations"</h2>
                <span class="xs">"newest first"</span>
            </div>
            {body}
            {has_pages
                .then(|| {
                    view! {
                        <nav class="row border-t border-line px-[18px] py-3" aria-label="Pages">
                            {newest}
                            <span class="ms-auto">{older}</span>
                        </nav>
                    }
                })}
        </section>
    }
}

fn row(i: Invitation, plan: String, may_revoke: bool, now: Timestamp) -> impl IntoView {
    let (tone, state) = match i.state {
        InvitationState::Open => (Tone::Live, "Open"),
        InvitationState::UsedUp => (Tone::Plain, "Used up"),
        InvitationState::Expired => (Tone::Plain, "Expired"),
        InvitationState::Revoked => (Tone::Plain, "Revoked"),
        InvitationState::PlanGone => (Tone::Warn, "Plan deleted"),
    };
    let left = i.uses.saturating_sub(i.used);
    let uses = format!("{left} of {}", i.uses);
    let note = (!i.note.is_empty()).then(|| view! { <span class="s block">{i.note}</span> });
    let revoke = (may_revoke && i.state == InvitationState::Open).then(|| {
        view! {
            <form method="post" action="/do/revoke_invitation">
                <input type="hidden" name="id" value=i.id.to_string()/>
                <button class="btn btn-s btn-d" aria-label=format!("Revoke invitation {}", i.id)>
                    "Revoke"
                </button>
            </form>
        }
    });
    view! {
        <tr>
            <td class="wide wrap">
                <span class="font-semibold">{format!("No. {}", i.id)}</span>
                {note}
                <span class="xs block">
                    {i.created_by} ", " <RelativeTime at=i.created_at now=now/>
                </span>
            </td>
            <td>
                <Chip tone=tone>{state}</Chip>
            </td>
            <td class="full wrap">{plan}</td>
            <td class="e num full">{uses}</td>
            <td class="num full">
                <time datetime=format::iso(i.expires_at)>{format::exact(i.expires_at)}</time>
            </td>
            <td class="e full">{revoke}</td>
        </tr>
    }
}
