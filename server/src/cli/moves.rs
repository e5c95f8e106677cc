//! Waits for moves, which a running control plane carries out, and prints them. Used by
//! `maliknode tenant move`, `maliknode node drain`, `… lose` and `… moves`.

use super::{
    client::{CallError, Client},
    output::{Output, bytes, id, name_of, print as print_line, text},
};
use domain::Message;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often it is asked how far moves are.
const INTERVAL: Duration = Duration::from_millis(500);
/// For how long nothing may happen before it is said that no control plane is at work.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a command waits.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Waiting {
    /// Do not wait until it is done
    #[arg(long)]
    no_wait: bool,
}

/// Returns the moves that are still to be carried out.
///
/// # Errors
/// The API refuses, or does not answer.
pub(super) async fn list(client: &Client) -> Result<Vec<Value>, CallError> {
    client.get(&["operator", "moves"]).list().await
}

/// Waits until a tenant is moved, and prints where it is.
///
/// # Errors
/// It is not moved yet, and why.
pub(super) async fn tenant_moved(
    client: &Client,
    out: Output,
    tenant: &Value,
    waiting: Waiting,
) -> Result<(), CallError> {
    let name = name_of(tenant);
    let mut changed = Instant::now();
    let mut copied = Value::Null;
    let open = loop {
        let moves = list(client).await?;
        let open = moves.into_iter().find(|m| m["tenant"] == name);
        let has_failed = open.as_ref().is_some_and(has_failed);
        if let Some(progress) = open.as_ref().map(|m| &m["copied_bytes"])
            && *progress != copied
        {
            copied = progress.clone();
            changed = Instant::now();
            if copied.as_u64() > Some(0) {
                out.done(&format!("Copied: {}", bytes(&copied)));
            }
        }
        if open.is_none() || has_failed || waiting.no_wait || changed.elapsed() > PATIENCE {
            break open;
        }
        tokio::time::sleep(INTERVAL).await;
    };
    let path = ["operator", "tenants", &id(tenant)];
    let now = client.get(&path).object().await?;
    let node = text(&now["node"]);
    if out.is_json() {
        let json = json!({ "tenant": name, "node": now["node"], "move": open });
        out.say(&json, "");
    }
    match open {
        None => out.done(&format!("{name} is on {node}.")),
        Some(_) if waiting.no_wait => out.done(&format!(
            "{name} is on {node} and will be moved: maliknode node moves"
        )),
        Some(m) => return Err(not_yet(&m)),
    }
    Ok(())
}

/// Waits until all tenants of a node are moved, and prints how far that is.
///
/// # Errors
/// Some are not moved yet, and why.
pub(super) async fn evacuated(
    client: &Client,
    out: Output,
    node: &Value,
    waiting: Waiting,
) -> Result<(), CallError> {
    let name = name_of(node);
    let mut left = usize::MAX;
    let mut copied = Vec::new();
    let mut changed = Instant::now();
    let open = loop {
        let mut open = list(client).await?;
        open.retain(|m| m["from"] == name);
        let progress: Vec<_> = open.iter().map(|m| m["copied_bytes"].clone()).collect();
        if progress != copied {
            copied = progress;
            changed = Instant::now();
        }
        if open.len() != left {
            left = open.len();
            changed = Instant::now();
            out.done(&format!("Tenants still to be moved from {name}: {left}"));
        }
        let all_failed = open.iter().all(has_failed);
        if all_failed || waiting.no_wait || changed.elapsed() > PATIENCE {
            break open;
        }
        tokio::time::sleep(INTERVAL).await;
    };
    if out.is_json() {
        out.say(&json!({ "node": name, "moves": open }), "");
    }
    match open.first() {
        Some(m) if !waiting.no_wait => Err(not_yet(m)),
        _ => Ok(()),
    }
}

fn has_failed(m: &Value) -> bool {
    !m["problem"].is_null()
}

/// Returns why a tenant is not moved yet.
fn not_yet(m: &Value) -> CallError {
    match m["problem"]["message"].as_str() {
        Some(message) => CallError::Failed(message.to_owned()),
        None => {
            let name = text(&m["tenant"]);
            CallError::NotYetInForce(texts::english().message(&Message::MoveWaits { name }))
        }
    }
}

/// Prints a line for each move that is still to be carried out, or an array of objects.
pub(super) fn print(moves: &[Value], out: Output) {
    if out.is_json() || moves.is_empty() {
        out.say(&json!(moves), "No tenant is to be moved.");
        return;
    }
    for m in moves {
        let to = m["to"].as_str().unwrap_or("any node");
        let problem = m["problem"]["message"].as_str();
        let problem = problem.map(|text| format!(": {text}"));
        let copied = match &m["copied_bytes"] {
            Value::Null => ", without data".to_owned(),
            n if n.as_u64() == Some(0) => String::new(),
            n => format!(", {} copied", bytes(n)),
        };
        print_line(&format!(
            "{} from {} to {to} ({}{copied}){}",
            text(&m["tenant"]),
            text(&m["from"]),
            text(&m["reason"]),
            problem.unwrap_or_default()
        ));
    }
}
