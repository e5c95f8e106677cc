//! `maliknode node list [--json]`, `maliknode node open NAME`, `… close NAME`,
//! `… revoke NAME`, `… remove NAME`, `… drain NAME`, `… lose NAME` and `… moves`.

use super::{
    database::core,
    moves::{self, Waiting},
};
use crate::{config::Config, start_error::StartError};
use app::ui::format;
use clap::Subcommand;
use domain::{
    Timestamp,
    time::DAY_MILLIS,
    view::{NodeRow, NodesView},
};

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Print the nodes: this machine's own and the workers
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a node have new tenants again
    Open(Named),
    /// Let a node have no new tenants; it serves those that it has
    Close(Named),
    /// Refuse a worker's certificate, e.g. because its disk was stolen
    ///
    /// Its tenants stay on the machine and get no changes until it joins again:
    /// maliknode worker token --for NAME
    Revoke(Named),
    /// Remove a worker that has no tenants
    Remove(Named),
    /// Move all tenants of a node to others, and let it have no new ones
    ///
    /// `maliknode node open NAME` ends that.
    Drain {
        #[command(flatten)]
        node: Named,
        /// Leave the settings, statistics and query logs of AdGuard Homes behind, which are
        /// not copied
        #[arg(long)]
        without_data: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Place all tenants of a silent or revoked worker on other nodes
    ///
    /// They get the keys, ports and addresses that they have. The settings, statistics and
    /// query logs of their AdGuard Homes are lost with the machine.
    Lose {
        #[command(flatten)]
        node: Named,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Print the moves that are still to be carried out
    Moves {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The node's name in `maliknode node list`
    name: String,
}

/// # Errors
/// No such node, a change that this node does not allow, no database.
pub(super) async fn run(config: &Config, command: &NodeCommand) -> Result<(), StartError> {
    let (store, control) = core(config).await?;
    let operator = control.auth().command_line_operator();
    let nodes = control.nodes();
    let find = async |named: &Named| nodes.find(&operator, &named.name).await;
    let said = match command {
        NodeCommand::List { json } => {
            let view = nodes.list(&operator).await?;
            if *json { to_json(&view) } else { table(&view) }
        }
        NodeCommand::Open(named) => {
            let node = find(named).await?;
            nodes.set_open(&operator, node.id, true).await?;
            format!("{} gets new tenants.", node.name)
        }
        NodeCommand::Close(named) => {
            let node = find(named).await?;
            nodes.set_open(&operator, node.id, false).await?;
            format!(
                "{} gets no new tenants. Those that it has are served as before.",
                node.name
            )
        }
        NodeCommand::Revoke(named) => {
            let node = find(named).await?;
            nodes.revoke(&operator, node.id).await?;
            revoked(&node)
        }
        NodeCommand::Remove(named) => {
            let node = find(named).await?;
            nodes.remove(&operator, node.id, &node.name).await?;
            format!(
                "{} is removed. Its certificate is refused from now on.",
                node.name
            )
        }
        NodeCommand::Drain {
            node,
            without_data,
            waiting,
        } => {
            let node = find(node).await?;
            nodes.drain(&operator, node.id, *without_data).await?;
            moves::evacuated(&control, &operator, &node, *waiting).await?;
            store.close().await;
            return Ok(());
        }
        NodeCommand::Lose { node, waiting } => {
            let node = find(node).await?;
            nodes.lose(&operator, node.id).await?;
            moves::evacuated(&control, &operator, &node, *waiting).await?;
            store.close().await;
            return Ok(());
        }
        NodeCommand::Moves { json } => moves::text(&nodes.list(&operator).await?, *json),
    };
    store.close().await;
    println!("{said}");
    Ok(())
}

fn revoked(node: &NodeRow) -> String {
    let name = &node.name;
    let mut text = format!("{name} is revoked: its certificate is refused from now on.");
    if node.tenants > 0 {
        text += &format!(
            "\nTenants that stay on it and get no changes: {}. To let the machine join again:\n  maliknode worker token --for {name}",
            node.tenants
        );
    }
    text
}

/// Returns a line for each node, and below them a line for each problem.
fn table(view: &NodesView) -> String {
    let head = [
        "NAME",
        "STANDING",
        "TENANTS",
        "HOST",
        "VERSION",
        "HEARD",
        "CERTIFICATE",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(view.nodes.iter().map(|node| cells(node, view.now)));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 7] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).enumerate();
        let padded = cells.map(|(column, (cell, width))| match column {
            2 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    for node in &view.nodes {
        let name = &node.name;
        let problems = node.problems.iter();
        lines.extend(problems.map(|p| format!("{name}: {}", texts::english().message(&p.message))));
    }
    lines.join("\n")
}

fn cells(node: &NodeRow, now: Timestamp) -> [String; 7] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let (heard, certificate) = match node.is_local {
        true => ("-".to_owned(), "-".to_owned()),
        false => (
            node.last_heard
                .map_or_else(|| "never".to_owned(), |at| at.ago(now)),
            node.certificate_expires
                .map_or_else(|| "-".to_owned(), |at| validity(at, now)),
        ),
    };
    [
        node.name.clone(),
        node.standing.to_string(),
        node.tenants.to_string(),
        or_dash(&node.host),
        or_dash(&node.version),
        heard,
        certificate,
    ]
}

/// Returns for how long a certificate is valid, in whole days.
fn validity(expires: Timestamp, now: Timestamp) -> String {
    match expires.millis_since(now) / DAY_MILLIS {
        _ if expires <= now => "expired".to_owned(),
        0 => "under a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Returns an array of objects. `last_heard` and `certificate_expires` are null for the
/// control plane's own node.
fn to_json(view: &NodesView) -> String {
    let node = |node: &NodeRow| {
        let problems = node.problems.iter();
        let problems = problems.map(|p| {
            serde_json::json!({
                "code": p.code,
                "message": texts::english().message(&p.message),
            })
        });
        serde_json::json!({
            "id": node.id,
            "name": node.name,
            "local": node.is_local,
            "standing": node.standing,
            "tenants": node.tenants,
            "host": node.host,
            "version": node.version,
            "last_heard": node.last_heard.map(format::iso),
            "certificate_expires": node.certificate_expires.map(format::iso),
            "problems": problems.collect::<Vec<_>>(),
        })
    };
    serde_json::Value::Array(view.nodes.iter().map(node).collect()).to_string()
}
