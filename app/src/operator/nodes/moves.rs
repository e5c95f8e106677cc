//! The moves that are still to be carried out, on `/nodes`.

use crate::ui::{RelativeTime, format};
use domain::{
    MoveReason, NodeId, Timestamp,
    view::{MoveRow, NodeRow},
};
use leptos::prelude::*;
use texts::Texts;

/// The most moves that are shown one by one.
const MAX_SHOWN: usize = 100;

/// Lists the tenants that are to leave their nodes, and why some have not yet.
#[component]
pub(super) fn Moves(
    moves: Vec<MoveRow>,
    nodes: Vec<NodeRow>,
    now: Timestamp,
    texts: &'static Texts,
) -> impl IntoView {
    let name = |id: NodeId| {
        let found = nodes.iter().find(|n| n.id == id);
        found.map_or_else(|| format!("node {id}"), |n| n.name.clone())
    };
    let summary = summary(&moves);
    // Those with a problem first: they need the operator.
    let (failed, waiting): (Vec<_>, Vec<_>) = moves.iter().partition(|m| m.problem.is_some());
    let shown = failed.into_iter().chain(waiting).take(MAX_SHOWN);
    let rows = shown.map(|m| {
        let to = m.to.map_or_else(|| "any node".to_owned(), name);
        let why = match m.reason {
            MoveReason::Move => "to be moved",
            MoveReason::Drain => "the node is drained",
            MoveReason::Lose => "the node is lost",
        };
        let copied = copied(m).map(|text| view! { <span class="s block">{text}</span> });
        let problem = m.problem.as_ref().map(|p| {
            let message = texts.problem(p).message;
            view! { <span class="s block text-warn!">"⚠ "{message}</span> }
        });
        view! {
            <tr>
                <td class="wide wrap">
                    <span class="font-semibold">{m.name.to_string()}</span>
                    {problem}
                </td>
                <td class="full">{name(m.from)}</td>
                <td class="full">{to}</td>
                <td class="full s">{why} {copied}</td>
                <td class="full s">
                    <RelativeTime at=m.begun_at now=now/>
                </td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    view! {
        <section class="card" aria-label="Tenants that are moved">
            <p class="px-[18px] py-3" role="status">{summary}</p>
            <div class="scroll">
                <table class="table cards">
                    <thead>
                        <tr>
                            <th scope="col">"Tenant"</th>
                            <th scope="col">"From"</th>
                            <th scope="col">"To"</th>
                            <th scope="col">"Why"</th>
                            <th scope="col">"Since"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
}

/// Returns how far the copy of what AdGuard Home has stored is, e.g. "4.5 MB copied"; nothing
/// before it begins.
fn copied(m: &MoveRow) -> Option<String> {
    match m.copied_bytes {
        None => Some("without AdGuard Home's data".to_owned()),
        Some(0) => None,
        Some(bytes) => Some(format!("{} copied", format::bytes(bytes))),
    }
}

/// Returns "Tenants still to be moved: 12, 3 of them with a problem."
fn summary(moves: &[MoveRow]) -> String {
    let failed = moves.iter().filter(|m| m.problem.is_some()).count();
    let problems = match failed {
        0 => String::new(),
        n => format!(", {n} of them with a problem"),
    };
    format!(
        "Tenants still to be moved: {}{problems}. One after another; each is tried again until it works. Reload this page to see how far it is.",
        moves.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ErrorCode, Message, Problem, TenantName};

    #[test]
    fn the_summary_counts_problems() {
        let waiting = MoveRow {
            name: TenantName::parse("lina").unwrap(),
            from: NodeId(1),
            to: None,
            reason: MoveReason::Drain,
            begun_at: Timestamp(0),
            copied_bytes: Some(4_500_000),
            problem: None,
        };
        let text = copied(&waiting).expect("it has begun");
        assert!(text.ends_with("B copied"), "{text}");
        let problem = Problem {
            code: ErrorCode::MoveRefused,
            message: Message::MoveNowhere { slot: 1 },
        };
        let failed = MoveRow {
            problem: Some(problem),
            ..waiting.clone()
        };
        let text = summary(std::slice::from_ref(&waiting));
        assert!(text.starts_with("Tenants still to be moved: 1. "), "{text}");
        let text = summary(&[waiting, failed]);
        assert!(text.contains(": 2, 1 of them with a problem."), "{text}");
    }
}
