//! The names that operators have reserved.

use crate::ui::RelativeTime;
use domain::{Timestamp, view::ReservedName};
use leptos::prelude::*;

/// The names that are drawn; the command line lists all.
const MAX_DRAWN: usize = 200;

/// Lists the reserved names, and lets an owner add and release some.
#[component]
pub fn Reserved(
    names: Vec<ReservedName>,
    /// What was typed and refused.
    typed: String,
    may_change: bool,
    now: Timestamp,
) -> impl IntoView {
    let count = names.len();
    let more = (count > MAX_DRAWN).then(|| {
        view! {
            <p class="s px-[18px] py-3">
                {format!("{} more: ", count - MAX_DRAWN)} <code>"maliknode reserved list"</code>
            </p>
        }
    });
    let rows = names.into_iter().take(MAX_DRAWN).map(|reserved| {
        let ReservedName {
            name,
            added_by,
            added_at,
        } = reserved;
        let release = may_change.then(|| {
            view! {
                <form method="post" action="/do/release_name">
                    <input type="hidden" name="name" value=name.clone()/>
                    <button class="btn btn-s" aria-label=format!("Release {name}")>
                        "Release"
                    </button>
                </form>
            }
        });
        view! {
            <li class="flex items-center gap-3 border-t border-line px-4.5 py-3">
                <span class="mono">{name.clone()}</span>
                <span class="xs">{added_by} ", " <RelativeTime at=added_at now=now/></span>
                <span class="ms-auto">{release}</span>
            </li>
        }
    });
    let rows = rows.collect_view();
    let form = may_change.then(|| {
        view! {
            <form class="grid gap-3 px-[18px] py-4" method="post" action="/do/reserve_names">
                <label class="label" for="names">"Reserve names"</label>
                <textarea
                    id="names"
                    class="field"
                    name="names"
                    rows="2"
                    maxlength="10000"
                    autocapitalize="none"
                    spellcheck="false"
                    aria-describedby="names-hint"
                >
                    {typed}
                </textarea>
                <p id="names-hint" class="note">"One or several, with blanks or line ends between."</p>
                <div class="row">
                    <button class="btn">"Reserve"</button>
                </div>
            </form>
        }
    });
    view! {
        <section class="card" id="names-card" aria-labelledby="names-title">
            <div class="hd">
                <h2 id="names-title">"Reserved names"</h2>
                <span class="chip num">{count}</span>
                <span class="xs">
                    "No tenant can sign up with one, beside those of MalikNode itself (www, admin, api and others). A tenant that has one keeps it."
                </span>
            </div>
            {form}
            <ul>{rows}</ul>
            {more}
        </section>
    }
}
