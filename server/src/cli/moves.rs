//! Waits for moves, which a running control plane carries out, and prints them. Used by
//! `maliknode tenant move`, `maliknode node drain`, `… lose` and `… moves`.

use crate::start_error::StartError;
use app::ui::format;
use control::Control;
use domain::{
    ErrorCode, Failure, NodeId, OperatorScope, TenantScope,
    view::{MoveRow, NodeRow, NodesView},
};
use std::time::{Duration, Instant};

/// How often the database is asked how far moves are.
const INTERVAL: Duration = Duration::from_millis(500);
/// For how long nothing may happen before it is said that no control plane is at work.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a command waits and prints.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Waiting {
    /// Do not wait until it is done
    #[arg(long)]
    no_wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Waits until a tenant is moved, and prints where it is.
///
/// # Errors
/// It is not moved yet, and why; no database.
pub(super) async fn tenant_moved(
    control: &Control,
    operator: &OperatorScope,
    tenant: &TenantScope,
    waiting: Waiting,
) -> Result<(), StartError> {
    let nodes = control.nodes();
    let begun = Instant::now();
    let open = loop {
        let open = nodes.move_of(operator, tenant).await?;
        let has_failed = open.as_ref().is_some_and(|m| m.problem.is_some());
        if open.is_none() || has_failed || waiting.no_wait || begun.elapsed() > PATIENCE {
            break open;
        }
        tokio::time::sleep(INTERVAL).await;
    };
    let view = nodes.list(operator).await?;
    let node = name_of(&view, nodes.node_of(operator, tenant).await?);
    let name = tenant.name();
    if waiting.json {
        println!(
            "{}",
            serde_json::json!({
                "tenant": name.as_str(),
                "node": node,
                "move": open.as_ref().map(|m| to_json(m, &view)),
            })
        );
    }
    match open {
        None if !waiting.json => println!("{name} is on {node}."),
        Some(_) if waiting.no_wait && !waiting.json => {
            println!("{name} is on {node} and will be moved: maliknode node moves");
        }
        None => {}
        Some(m) if !waiting.no_wait => return Err(not_yet(&m).into()),
        Some(_) => {}
    }
    Ok(())
}

/// Waits until all tenants of a node are moved, and prints how far that is.
///
/// # Errors
/// Some are not moved yet, and why; no database.
pub(super) async fn evacuated(
    control: &Control,
    operator: &OperatorScope,
    node: &NodeRow,
    waiting: Waiting,
) -> Result<(), StartError> {
    let nodes = control.nodes();
    let mut left = usize::MAX;
    let mut changed = Instant::now();
    let (view, open) = loop {
        let view = nodes.list(operator).await?;
        let open = view.moves.iter().filter(|m| m.from == node.id);
        let open: Vec<MoveRow> = open.cloned().collect();
        if open.len() != left {
            left = open.len();
            changed = Instant::now();
            if !waiting.json {
                println!("Tenants still to be moved from {}: {left}", node.name);
            }
        }
        let has_failed = open.iter().all(|m| m.problem.is_some());
        if has_failed || waiting.no_wait || changed.elapsed() > PATIENCE {
            break (view, open);
        }
        tokio::time::sleep(INTERVAL).await;
    };
    if waiting.json {
        let moves: Vec<_> = open.iter().map(|m| to_json(m, &view)).collect();
        println!(
            "{}",
            serde_json::json!({ "node": node.name, "moves": moves })
        );
    }
    match open.first() {
        Some(m) if !waiting.no_wait => Err(not_yet(m).into()),
        _ => Ok(()),
    }
}

/// Returns why a tenant is not moved yet.
fn not_yet(m: &MoveRow) -> Failure {
    match &m.problem {
        Some(problem) => Failure::new(problem.code, problem.message.clone()),
        None => Failure::new(
            ErrorCode::NotYetInForce,
            domain::Message::MoveWaits {
                name: m.name.to_string(),
            },
        ),
    }
}

/// Returns a line for each move that is still to be carried out, or an array of objects.
pub(super) fn text(view: &NodesView, json: bool) -> String {
    if json {
        let moves: Vec<_> = view.moves.iter().map(|m| to_json(m, view)).collect();
        return serde_json::Value::Array(moves).to_string();
    }
    let line = |m: &MoveRow| {
        let to =
            m.to.map_or_else(|| "any node".to_owned(), |to| name_of(view, to));
        let problem = m.problem.as_ref();
        let problem = problem.map(|p| format!(": {}", texts::english().message(&p.message)));
        let (from, why) = (name_of(view, m.from), m.reason.as_str());
        format!(
            "{} from {from} to {to} ({why}){}",
            m.name,
            problem.unwrap_or_default()
        )
    };
    match view.moves.is_empty() {
        true => "No tenant is to be moved.".to_owned(),
        false => view.moves.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

fn to_json(m: &MoveRow, view: &NodesView) -> serde_json::Value {
    serde_json::json!({
        "tenant": m.name.as_str(),
        "from": name_of(view, m.from),
        "to": m.to.map(|to| name_of(view, to)),
        "reason": m.reason.as_str(),
        "since": format::iso(m.begun_at),
        "problem": m.problem.as_ref().map(|p| serde_json::json!({
            "code": p.code,
            "message": texts::english().message(&p.message),
        })),
    })
}

/// Returns a node's name; its number if it is not listed.
fn name_of(view: &NodesView, node: NodeId) -> String {
    let found = view.nodes.iter().find(|n| n.id == node);
    found.map_or_else(|| format!("node {node}"), |n| n.name.clone())
}
