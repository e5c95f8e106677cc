//! `/use`: who uses how much of what. Server only, and without a script: sorting,
//! searching and turning pages are links.

mod rows;
mod table;

use crate::{
    context,
    loader::load,
    operator::listing::Wanted,
    ui::{Area, Banner, NavItem, PageHead, PageShell, Tone, format},
};
use domain::{
    Failure,
    view::{DiskView, NodeFigures, ResourceRow, ResourcesView},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use rows::{Measure, UseRow, page};
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
        let ResourcesView { nodes, rows, .. } = view;
        let rows: Vec<UseRow> = rows.into_iter().map(row).collect();
        let total = rows.len();
        let page = page(rows, &wanted);
        let about = |node: &NodeFigures| node.node.clone().unwrap_or_default();
        let disks = nodes
            .iter()
            .filter_map(|n| Some(disk_chip(about(n), n.disk?)));
        let disks = disks.collect_view();
        let problems = nodes.iter().filter_map(|n| {
            let problem = texts.problem(n.problem.as_ref()?);
            Some(view! { <Banner problem=problem about=about(n)/> })
        });
        let problems = problems.collect_view();
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Use
                who=operator.name().to_owned()
                title="Use"
            >
                <PageHead title="Use">{disks}</PageHead>
                {problems}
                <Table page=page wanted=wanted total=total/>
            </PageShell>
        })
    })
}

/// Says how much of a node's disk is free. The operator's home page says what to do.
fn disk_chip(node: String, disk: DiskView) -> impl IntoView {
    let (tone, text) = if disk.low {
        (Tone::Bad, "Disk nearly full: ")
    } else {
        (Tone::Plain, "Disk: ")
    };
    let text = format!(
        "{node}{}{text}{} of {} free",
        if node.is_empty() { "" } else { ": " },
        format::bytes(disk.free_bytes),
        format::bytes(disk.total_bytes)
    );
    view! { <span class=tone.chip()>{text}</span> }
}

fn row(row: ResourceRow) -> UseRow {
    let of = |used, limit| Measure { used, limit };
    let limits = row.limits;
    // Tenths of a percent: finite, and far below the greatest number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let tenths = |percent: f64| (percent.max(0.0) * 10.0).round() as u64;
    UseRow {
        id: row.id,
        name: row.name,
        measures: [
            of(Some(row.data.used_bytes), row.data.limit_bytes),
            of(row.disk_bytes, limits.disk_bytes),
            of(row.cpu_percent.map(tenths), limits.cpu_percent.map(tenths)),
            of(row.memory_bytes, limits.memory_bytes),
            of(row.connections, limits.connections),
        ],
    }
}
