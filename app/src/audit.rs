//! What the pages of the audit log share: that of the installation, for operators, and that of
//! a tenant.

use crate::{
    forms,
    ui::{EmptyState, Glyph, RelativeTime},
};
use control::{AuditQuery, Numbered};
use domain::{ErrorCode, Failure, Timestamp, view::AuditRow};
use leptos::prelude::*;
use leptos_router::params::ParamsMap;

/// The entries of a page.
const ROWS: u32 = 100;
/// The rows that a page reads: one more says whether there are others.
pub const READ_ROWS: u32 = ROWS + 1;

/// Reads a filter from a query.
pub fn audit_query(get: impl Fn(&str) -> Option<String>) -> AuditQuery {
    let text = |name| get(name).unwrap_or_default();
    AuditQuery {
        actor: text("actor"),
        action: text("action"),
        tenant: text("tenant"),
        since: text("since"),
        until: text("until"),
    }
}

/// Returns the address of a page with a filter and further parameters.
pub fn url(page: &str, query: &AuditQuery, more: &[(&str, &str)]) -> String {
    let all = [
        ("actor", query.actor.as_str()),
        ("action", &query.action),
        ("tenant", &query.tenant),
        ("since", &query.since),
        ("until", &query.until),
    ];
    let given = all.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<_> = given.chain(more).copied().collect();
    match pairs.is_empty() {
        true => page.to_owned(),
        false => forms::url_with(page, &pairs),
    }
}

/// Returns the rows that were found, or what is wrong with the filter, which is said beside it.
///
/// # Errors
/// The failures that are not the filter's.
pub fn found_or_refused(
    found: Result<Vec<Numbered<AuditRow>>, Failure>,
    texts: &texts::Texts,
) -> Result<(Vec<Numbered<AuditRow>>, Option<String>), Failure> {
    match found {
        Ok(rows) => Ok((rows, None)),
        Err(f) if matches!(f.code, ErrorCode::BadRequest | ErrorCode::NotFound) => {
            Ok((Vec::new(), Some(texts.failure(&f))))
        }
        Err(f) => Err(f),
    }
}

/// Returns the id before which the page begins.
pub fn before(query: &ParamsMap) -> i64 {
    let before = query.get("before").and_then(|id| id.parse().ok());
    before.unwrap_or(i64::MAX)
}

/// The links to the entries that match as files.
#[component]
pub fn Files(
    /// The address of the files.
    export: &'static str,
    filter: AuditQuery,
) -> impl IntoView {
    let file = |format| url(export, &filter, &[("format", format)]);
    view! {
        <span class="row ms-auto">
            <a class="btn btn-s" href=file("csv") download>"CSV"</a>
            <a class="btn btn-s" href=file("jsonl") download>"JSON lines"</a>
        </span>
    }
}

/// The form of the filter.
#[component]
pub fn Filter(
    /// The page's address.
    page: &'static str,
    filter: AuditQuery,
    /// What is wrong with it.
    refused: Option<String>,
    /// Whether entries are about several tenants.
    #[prop(optional)]
    about_tenants: bool,
) -> impl IntoView {
    let is_bad = refused.is_some();
    let field = |name: &'static str, label: &'static str, value: String, hint: &'static str| {
        view! {
            <label class="grid gap-1.5">
                <span class="label">{label}</span>
                <input
                    class="field"
                    type="text"
                    name=name
                    value=value
                    placeholder=hint
                    maxlength="120"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                />
            </label>
        }
    };
    view! {
        <form
            class="card grid gap-4 p-[22px] max-md:p-4"
            method="get"
            action=page
            role="search"
            aria-label="Filter"
        >
            <div role="alert" class="empty:hidden">
                {refused.map(|text| view! { <p class="banner banner-bad"><b>"⚠"</b>" "{text}</p> })}
            </div>
            <div class="grid gap-4 sm:grid-cols-2 lg:grid-cols-5">
                {field("actor", "Who", filter.actor, "operator:ada")}
                {field("action", "What", filter.action, "plan.change")}
                {about_tenants.then(|| field("tenant", "About the tenant", filter.tenant, "lina"))}
                {field("since", "Since", filter.since, "2026-11-01")}
                {field("until", "Until", filter.until, "2026-11-30")}
            </div>
            <div class="row">
                <button class="btn btn-p" aria-invalid=is_bad.to_string()>"Show"</button>
                <a class="btn btn-q" href=page>"Show all"</a>
            </div>
        </form>
    }
}

/// The entries, with the way to older ones.
#[component]
pub fn Entries(
    /// The page's address.
    page: &'static str,
    mut rows: Vec<Numbered<AuditRow>>,
    filter: AuditQuery,
    now: Timestamp,
    /// Whether the filter was refused.
    refused: bool,
) -> impl IntoView {
    if rows.is_empty() {
        let title = match refused {
            true => "No entries to show",
            false => "Nothing matches",
        };
        return view! {
            <EmptyState
                glyph=Glyph::Log
                title=title
                text="Every change and every sign-in is recorded here."
            />
        }
        .into_any();
    }
    let has_more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let last = rows
        .last()
        .filter(|_| has_more)
        .map(|row| row.id.to_string());
    let next = last.map(|id| {
        view! {
            <nav class="row border-t border-line px-[18px] py-3" aria-label="Pages">
                <a class="btn btn-s ms-auto" rel="next" href=url(page, &filter, &[("before", &id)])>
                    "Older"
                </a>
            </nav>
        }
    });
    let rows = rows
        .into_iter()
        .map(|numbered| view! { <Row row=numbered.row now=now/> });
    view! {
        // Nothing in it takes the focus: it does itself, to be scrolled by keyboard.
        <div class="scroll" tabindex="0" role="group" aria-label="Entries">
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">"When"</th>
                        <th scope="col">"Who"</th>
                        <th scope="col">"From"</th>
                        <th scope="col">"What"</th>
                        <th scope="col">"To what"</th>
                        <th scope="col">"Change"</th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
        {next}
    }
    .into_any()
}

#[component]
fn Row(row: AuditRow, now: Timestamp) -> impl IntoView {
    let change = match (row.before.is_empty(), row.after.is_empty()) {
        (true, true) => row.detail,
        (true, false) => row.after,
        (false, true) => format!("was {}", row.before),
        (false, false) => format!("{} → {}", row.before, row.after),
    };
    view! {
        <tr>
            <td class="s">
                <RelativeTime at=row.at now=now/>
            </td>
            <td>{row.actor}</td>
            <td class="mono s">{row.origin}</td>
            <td class="mono">{row.action}</td>
            <td class="wrap">{row.object}</td>
            <td class="wrap s">{change}</td>
        </tr>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_the_filter() {
        assert_eq!(url("/audit", &AuditQuery::default(), &[]), "/audit");
        let query = AuditQuery {
            actor: "operator:ada".to_owned(),
            since: "2026-11-01".to_owned(),
            ..AuditQuery::default()
        };
        let address = url("/audit/export", &query, &[("format", "csv")]);
        let request = leptos_router::location::RequestUrl::new(&address);
        let parsed = request.parse().unwrap();
        let read = audit_query(|name| parsed.search_params().get(name));
        assert_eq!(read, query);
        assert_eq!(parsed.search_params().get("format").as_deref(), Some("csv"));
    }
}
