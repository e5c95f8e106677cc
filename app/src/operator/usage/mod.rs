//! `/use`: who uses how much of what. Server only, and without a script: sorting,
//! searching and turning pages are links.

mod rows;
mod table;

use crate::{
    context,
    loader::load,
    ui::{Area, Banner, NavItem, PageHead, PageShell, Tone, format},
};
use domain::{
    Failure,
    view::{DiskView, ResourceRow, ResourcesView},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use rows::{Measure, UseRow, Wanted, page};
use table::Table;

/// Renders the tenants with what they use.
#[component]
pub fn UsePage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let texts = context::texts();
    let wanted = Wanted::from_query(|key| query.get(key));
    let ready = context::control().and_then(|c| Ok((c, context::operator()?)));
    load(async move {
        let (control, operator) = ready?;
        let view = control.operators().resources(&operator).await?;
        let ResourcesView {
            disk,
            problem,
            rows,
            ..
        } = view;
        let rows: Vec<UseRow> = rows.into_iter().map(row).collect();
        let total = rows.len();
        let page = page(rows, &wanted);
        let problem = problem.map(|p| texts.problem(&p));
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Use
                who=operator.name().to_owned()
                title="Use"
            >
                <PageHead title="Use">{disk.map(disk_chip)}</PageHead>
                {problem.map(|problem| view! { <Banner problem=problem/> })}
                <Table page=page wanted=wanted total=total/>
            </PageShell>
        })
    })
}

/// Says how much of the node's disk is free. The operator's home page says what to do.
fn disk_chip(disk: DiskView) -> impl IntoView {
    let (tone, text) = if disk.low {
        (Tone::Bad, "Disk nearly full: ")
    } else {
        (Tone::Plain, "Disk: ")
    };
    let text = format!(
        "{text}{} of {} free",
        format::bytes(disk.free_bytes),
        format::bytes(disk.total_bytes)
    );
    view! { <span class=tone.chip()>{text}</span> }
}

fn row(row: ResourceRow) -> UseRow {
    let unlimited = |used| Measure { used, limit: None };
    // Tenths of a percent: finite, and far below the greatest number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let tenths = |percent: f64| (percent.max(0.0) * 10.0).round() as u64;
    let data = Measure {
        used: Some(row.data.used_bytes),
        limit: row.data.limit_bytes,
    };
    UseRow {
        id: row.id,
        name: row.name,
        measures: [
            data,
            unlimited(row.disk_bytes),
            unlimited(row.cpu_percent.map(tenths)),
            unlimited(row.memory_bytes),
            unlimited(row.connections),
        ],
    }
}
