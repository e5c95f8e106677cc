//! The table of the page that says who uses how much of what.

use super::rows::{Measure, Page, Resource, SortBy, UseRow, Wanted};
use crate::ui::{EmptyState, Glyph, format};
use leptos::prelude::*;

/// From this share of a limit on a figure is marked, in percent.
const MARKED_PERCENT: u64 = 80;

/// The rows, with what to sort them by, a search and the pages.
#[component]
pub fn Table(
    page: Page,
    wanted: Wanted,
    /// The number of tenants in all.
    total: usize,
) -> impl IntoView {
    let count = if wanted.search.is_empty() {
        format::thousands(total as u64)
    } else {
        format!("{} of {total}", page.matching)
    };
    let links = (page.pages > 1)
        .then(|| view! { <Pages page=page.page pages=page.pages wanted=wanted.clone()/> });
    let body = if total == 0 {
        view! {
            <EmptyState
                glyph=Glyph::Gauge
                title="No tenant yet"
                text="What the first one uses appears here a minute after the sign-up."
            />
        }
        .into_any()
    } else if page.rows.is_empty() {
        view! {
            <EmptyState
                glyph=Glyph::People
                title=format!("Nobody is called “{}”", wanted.search)
                text="Search for a part of a name."
            >
                <a class="btn mt-2" href="/use">"Show all"</a>
            </EmptyState>
        }
        .into_any()
    } else {
        view! {
            <div class="scroll">
                <table class="table cards">
                    <thead>
                        <tr>{SortBy::all().map(|sort| heading(sort, &wanted)).collect_view()}</tr>
                    </thead>
                    <tbody>{page.rows.into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <section class="card" aria-labelledby="use-title">
            <div class="hd">
                <h2 id="use-title">"Tenants"</h2>
                <span class="chip num">{count}</span>
                <Search wanted=wanted/>
            </div>
            {body}
            {links}
        </section>
    }
}

/// The search, and the order where there are no headings: on a phone.
#[component]
fn Search(wanted: Wanted) -> impl IntoView {
    let options = SortBy::all().map(|sort| {
        view! {
            <option value=sort.as_str() selected=sort == wanted.sort>
                {sort.title()}
            </option>
        }
    });
    let options = options.collect_view();
    view! {
        <form method="get" action="/use" role="search" class="row ms-auto max-md:w-full">
            <label class="sr-only" for="q">"Search tenants"</label>
            <input
                id="q"
                class="field md:w-[220px]!"
                type="search"
                name="q"
                value=wanted.search
                placeholder="Name"
                maxlength="40"
            />
            <label class="s" for="sort">"Sort by"</label>
            <select id="sort" class="field w-auto!" name="sort" autocomplete="off">
                {options}
            </select>
            <button class="btn">"Show"</button>
        </form>
    }
}

/// A heading that sorts by its column; by the present one, it turns the order around.
fn heading(sort: SortBy, wanted: &Wanted) -> impl IntoView + use<> {
    let is_current = sort == wanted.sort;
    let ascending = wanted.turned != (sort == SortBy::Name);
    let (order, arrow) = match (is_current, ascending) {
        (false, _) => (None, ""),
        (true, true) => (Some("ascending"), " ↑"),
        (true, false) => (Some("descending"), " ↓"),
    };
    let class = match sort {
        SortBy::Resource(_) => "e",
        _ => "",
    };
    view! {
        <th scope="col" class=class aria-sort=order>
            <a class="hover:underline" href=wanted.sorted_by(sort).url()>
                {sort.title()}
                <span aria-hidden="true">{arrow}</span>
            </a>
        </th>
    }
}

fn row(row: UseRow) -> impl IntoView {
    let closest = row.closest().map(|(resource, percent)| {
        let class = match percent {
            100.. => "chip chip-bad",
            MARKED_PERCENT.. => "chip chip-warn",
            _ => "chip",
        };
        view! { <span class=class>{format!("{} {percent} %", resource.title())}</span> }
    });
    let cells = Resource::ALL.map(|resource| cell(resource, row.measure(resource)));
    view! {
        <tr>
            <td class="wide">
                <a
                    class="font-semibold hover:underline"
                    href=crate::forms::url_with("/", &[("q", &row.name)])
                >
                    {row.name.clone()}
                </a>
            </td>
            <td>{closest}</td>
            {cells.into_iter().collect_view()}
        </tr>
    }
}

fn cell(resource: Resource, measure: Measure) -> impl IntoView {
    let text = |n: u64| match resource {
        Resource::Data | Resource::Disk | Resource::Memory => format::bytes(n),
        Resource::Cpu => format!("{}.{} %", n / 10, n % 10),
        Resource::Connections => format::thousands(n),
    };
    let used = measure.used.map_or_else(|| "–".to_owned(), text);
    let of = match (measure.limit, measure.percent()) {
        (Some(limit), Some(percent)) if percent >= MARKED_PERCENT => {
            format!("⚠ {percent} % of {}", text(limit))
        }
        (Some(limit), Some(percent)) => format!("{percent} % of {}", text(limit)),
        _ => String::new(),
    };
    let class = match measure.percent() {
        Some(MARKED_PERCENT..) => "xs block text-warn!",
        _ => "xs block",
    };
    // On a phone there are no headings.
    view! {
        <td class="e num full">
            <span class="mob s me-2">{resource.title()}</span>
            {used}
            <span class=class>{of}</span>
        </td>
    }
}

#[component]
fn Pages(page: usize, pages: usize, wanted: Wanted) -> impl IntoView {
    let to = |page: usize| {
        Wanted {
            page,
            ..wanted.clone()
        }
        .url()
    };
    let before = (page > 0).then(|| view! { <a class="btn btn-s" href=to(page - 1)>"Before"</a> });
    let next =
        (page + 1 < pages).then(|| view! { <a class="btn btn-s" href=to(page + 1)>"Next"</a> });
    view! {
        <nav class="row border-t border-line px-[18px] py-3" aria-label="Pages">
            {before}
            <span class="s num">{format!("Page {} of {pages}", page + 1)}</span>
            <span class="ms-auto">{next}</span>
        </nav>
    }
}
