//! The key figures at the top of the operator's home page.

use crate::ui::format;
use domain::view::{CapacityView, OperatorView, TenantRow};
use leptos::prelude::*;

/// One key figure, formatted.
pub struct Figure {
    title: &'static str,
    number: String,
    of: String,
    note: String,
}

impl Figure {
    /// Computes all figures.
    pub fn all(view: &OperatorView) -> [Figure; 4] {
        const WEEK_MILLIS: i64 = 7 * 86_400_000;
        let tenants = &view.tenants;
        let sum = |of: fn(&TenantRow) -> u32| tenants.iter().map(|t| u64::from(of(t))).sum();
        let count = |of: &dyn Fn(&&TenantRow) -> bool| tenants.iter().filter(of).count() as u64;
        let (devices, online): (u64, u64) = (sum(|t| t.devices), sum(|t| t.online));
        let new = count(&|t| view.now.millis_since(t.created_at) < WEEK_MILLIS);
        let ready = count(&|t| t.status.is_ready());
        let total = tenants.len() as u64;
        let figure = |title, number, of: String, note: String| Figure {
            title,
            number: format::thousands(number),
            of,
            note,
        };
        [
            figure("Tenants", total, String::new(), format!("+{new} this week")),
            figure(
                "Devices online",
                online,
                format!("of {}", format::thousands(devices)),
                "handshake under 3 min".to_owned(),
            ),
            figure(
                "Tenants all well",
                ready,
                format!("of {}", format::thousands(total)),
                "firewall, tunnel and DNS".to_owned(),
            ),
            figure(
                "Room for more",
                u64::from(view.capacity.more),
                "tenants".to_owned(),
                match view.nodes {
                    0 | 1 => capacity_note(&view.capacity),
                    nodes => nodes_note(nodes, &view.capacity),
                },
            ),
        ]
    }
}

/// Explains how many more tenants fit on several nodes; the page *Nodes* has the rest.
fn nodes_note(nodes: u32, capacity: &CapacityView) -> String {
    let nodes = format::thousands(nodes.into());
    match &capacity.memory {
        Some(m) => format!(
            "on {nodes} nodes; memory: {} of {} free",
            format::bytes(m.free_bytes),
            format::bytes(m.total_bytes)
        ),
        None => format!("on {nodes} nodes"),
    }
}

/// Explains how many more tenants fit.
fn capacity_note(capacity: &CapacityView) -> String {
    let slots = format!(
        "slots: {} free",
        format::thousands(capacity.slots_free.into())
    );
    let memory = match &capacity.memory {
        Some(m) => format!(
            "memory: {} of {} free, {} a tenant{}",
            format::bytes(m.free_bytes),
            format::bytes(m.total_bytes),
            format::bytes(m.each_bytes),
            match m.measured {
                0 => " as a guess",
                _ => "",
            }
        ),
        None => "memory: not measured".to_owned(),
    };
    match capacity.limit {
        Some(limit) => format!(
            "{memory}; {slots}; your limit: {}",
            format::thousands(limit.into())
        ),
        None => format!("{memory}; {slots}"),
    }
}

/// Shows the figures in a row.
#[component]
pub fn Figures(figures: [Figure; 4]) -> impl IntoView {
    view! {
        <div class="card kpis">
            {figures
                .into_iter()
                .map(|f| {
                    view! {
                        <div class="kpi">
                            <small>{f.title}</small>
                            <b>{f.number} " " <span>{f.of}</span></b>
                            <span class="xs">{f.note}</span>
                        </div>
                    }
                })
                .collect_view()}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::view::MemoryView;

    #[test]
    fn the_capacity_note_names_memory_slots_and_limit() {
        let mut capacity = CapacityView {
            more: 70,
            slots_free: 1_000,
            memory: Some(MemoryView {
                total_bytes: 4_000_000_000,
                free_bytes: 3_100_000_000,
                reserve_bytes: 400_000_000,
                each_bytes: 33_000_000,
                measured: 12,
            }),
            limit: None,
        };
        assert_eq!(
            capacity_note(&capacity),
            "memory: 3.1 GB of 4.0 GB free, 33.0 MB a tenant; slots: 1,000 free"
        );
        capacity.memory = None;
        capacity.limit = Some(50);
        assert_eq!(
            capacity_note(&capacity),
            "memory: not measured; slots: 1,000 free; your limit: 50"
        );
    }
}
