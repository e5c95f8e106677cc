//! The table of the page that says who uses how much of what.

use super::rows::{Measure, PATH, Resource, SortBy, UseRow};
use crate::{
    operator::listing::{Page, SortKey, Wanted, heading, pages, search},
    ui::{EmptyState, Glyph, format},
};
use leptos::prelude::*;

/// From this share of a limit on a figure is marked, in percent.
const MARKED_PERCENT: u64 = 80;

/// The rows, with what to sort them by, a search and the pages.
#[component]
pub fn Table(
    page: Page<UseRow>,
    wanted: Wanted<SortBy>,
    /// The number of tenants in all.
    total: usize,
) -> impl IntoView {
    let count = if wanted.search.is_empty() {
        format::thousands(total as u64)
    } else {
        format!("{} of {total}", page.matching)
    };
    let links = pages(&page, &wanted, PATH);
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
                title=format!("No tenant is called “{}”", wanted.search)
                text="Search for a part of a name."
            >
                <a class="btn mt-2" href=PATH>"Show all"</a>
            </EmptyState>
        }
        .into_any()
    } else {
        view! {
            <div class="scroll">
                <table class="table cards">
                    <thead>
                        <tr>{SortBy::all().into_iter().map(|sort| heading(sort, &wanted, PATH)).collect_view()}</tr>
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
                {search(&wanted, PATH, "Name")}
            </div>
            {body}
            {links}
        </section>
    }
}

fn row(row: UseRow) -> impl IntoView {
    let closest = row.closest().map(|resource| {
        let percent = row.measure(resource).percent().unwrap_or(0);
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
