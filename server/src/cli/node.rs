//! `maliknode node list`, `… show NAME`, `… open NAME`, `… close NAME`, `… host NAME HOST`,
//! `… revoke NAME`, `… remove NAME`, `… drain NAME`, `… lose NAME`, `… moves`, `… checks`
//! and `… dns check`.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    moves::{self, Waiting},
    output::{Column, Output, date, id, name_of, print, text, timestamp},
};
use clap::Subcommand;
use domain::{Clock, Message, SystemClock, Timestamp, time::DAY_MILLIS};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Print the nodes: this machine's own and the workers
    List,
    /// Print a node
    Show(Named),
    /// Let a node have new tenants again
    Open(Named),
    /// Let a node have no new tenants; it serves those that it has
    Close(Named),
    /// Give a worker another host for devices to connect to; those that it has need a new
    /// configuration then
    Host {
        #[command(flatten)]
        node: Named,
        /// The host or address
        host: String,
    },
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
        /// Leave behind what the AdGuard Homes have stored
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
    Moves,
    /// Print what the server has checked of its own machine, with what fixes each problem
    Checks,
    /// The names of tenants' endpoints at the name server
    #[command(subcommand)]
    Dns(NodeDnsCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum NodeDnsCommand {
    /// Ask the name server whether it takes changes, and compare its records
    ///
    /// It compares up to 400 endpoints. Records that differ are set again.
    Check,
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The node's name in `maliknode node list`
    name: String,
}

impl ApiCommand for NodeCommand {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        match self {
            Self::List => {
                let nodes = list(client).await?;
                print_table(&nodes, out);
                Ok(())
            }
            Self::Show(named) => {
                print_node(&find(client, &named.name).await?, out);
                Ok(())
            }
            Self::Open(named) => {
                let node = set_open(client, named, true).await?;
                let name = name_of(&node);
                out.say(&node, &format!("{name} gets new tenants."));
                Ok(())
            }
            Self::Close(named) => {
                let node = set_open(client, named, false).await?;
                let name = name_of(&node);
                let said = "gets no new tenants. Those that it has are served as before.";
                out.say(&node, &format!("{name} {said}"));
                Ok(())
            }
            Self::Host { node, host } => {
                let node = find(client, &node.name).await?;
                let call = client.patch(&["operator", "nodes", &id(&node)]);
                let changed = call.json(json!({ "host": host })).object().await?;
                let (name, host) = (name_of(&changed), text(&changed["host"]));
                let said = format!("Devices of tenants on {name} connect to {host}.");
                out.say(&changed, &said);
                Ok(())
            }
            Self::Revoke(named) => {
                let node = find(client, &named.name).await?;
                let call = client.post(&["operator", "nodes", &id(&node), "revoke"]);
                call.send().await?;
                out.done(&revoked(&node));
                Ok(())
            }
            Self::Remove(named) => {
                let node = find(client, &named.name).await?;
                let name = name_of(&node);
                let call = client.delete(&["operator", "nodes", &id(&node)]);
                call.query("name", name).send().await?;
                let said = "is removed. Its certificate is refused from now on.";
                out.done(&format!("{name} {said}"));
                Ok(())
            }
            Self::Drain {
                node,
                without_data,
                waiting,
            } => {
                let node = find(client, &node.name).await?;
                let call = client.post(&["operator", "nodes", &id(&node), "drain"]);
                let draining = json!({ "without_data": without_data });
                call.json(draining).begins().send().await?;
                moves::evacuated(client, out, &node, *waiting).await
            }
            Self::Lose { node, waiting } => {
                let node = find(client, &node.name).await?;
                let call = client.post(&["operator", "nodes", &id(&node), "lose"]);
                call.begins().send().await?;
                moves::evacuated(client, out, &node, *waiting).await
            }
            Self::Moves => {
                moves::print(&moves::list(client).await?, out);
                Ok(())
            }
            Self::Checks if client.is_database() => Err(CallError::Unreachable {
                server: "the server on this machine".to_owned(),
                reason: "it is not running; `maliknode doctor` checks the machine".to_owned(),
            }),
            Self::Checks => {
                let checks = client.get(&["operator", "checks"]).object().await?;
                print_checks(&checks, out);
                Ok(())
            }
            Self::Dns(NodeDnsCommand::Check) => check_names(client, out).await,
        }
    }
}

/// Prints a line for each check, and one for what fixes it.
fn print_checks(checks: &Value, out: Output) {
    let items = checks["items"].as_array().into_iter().flatten();
    let lines = items.flat_map(|check| {
        let member = |name: &str| text(&check[name]);
        let line = format!(
            "{:<4} {}: {}",
            member("state"),
            member("name"),
            member("message")
        );
        let fix = check["fix"].as_str().map(|fix| format!("     {fix}"));
        std::iter::once(line).chain(fix)
    });
    let lines: Vec<String> = lines.collect();
    let at = date(&checks["at"]);
    out.say(checks, &format!("Checked at {at}.\n{}", lines.join("\n")));
}

/// Prints what the name server has of the names of endpoints.
///
/// # Errors
/// There is no name server, or it takes no changes.
async fn check_names(client: &Client, out: Output) -> Result<(), CallError> {
    let path = ["operator", "endpoint-names", "check"];
    let check = client.post(&path).object().await?;
    let problem = check["problem"].as_str();
    let mut said = format!(
        "{} has names below {}: {}, of which {} not yet as they should be; {} compared.",
        text(&check["server"]),
        text(&check["domain"]),
        text(&check["names"]),
        text(&check["pending"]),
        text(&check["compared"])
    );
    for one in check["differing"].as_array().into_iter().flatten() {
        let found = one["found"].as_str().unwrap_or("nothing");
        let (name, expected) = (text(&one["name"]), text(&one["expected"]));
        said += &format!("\n{name} stood for {found}; it is set to {expected} again.");
    }
    if problem.is_none() {
        said += "\nThe name server takes changes.";
    }
    out.say(&check, &said);
    match problem {
        Some(problem) => Err(CallError::Failed(problem.to_owned())),
        None => Ok(()),
    }
}

async fn list(client: &Client) -> Result<Vec<Value>, CallError> {
    client.get(&["operator", "nodes"]).list().await
}

/// Finds a node by its name.
///
/// # Errors
/// There is none of that name.
pub(super) async fn find(client: &Client, name: &str) -> Result<Value, CallError> {
    let wanted = name.trim().to_ascii_lowercase();
    let mut nodes = list(client).await?.into_iter();
    let found = nodes.find(|node| name_of(node) == wanted);
    found.ok_or_else(|| {
        let message = Message::NodeNotFound { name: wanted };
        CallError::NotFound(texts::english().message(&message))
    })
}

async fn set_open(client: &Client, named: &Named, open: bool) -> Result<Value, CallError> {
    let node = find(client, &named.name).await?;
    let call = client.patch(&["operator", "nodes", &id(&node)]);
    call.json(json!({ "open": open })).object().await
}

fn revoked(node: &Value) -> String {
    let name = name_of(node);
    let mut text = format!("{name} is revoked: its certificate is refused from now on.");
    if let Some(tenants) = node["tenants"].as_u64().filter(|n| *n > 0) {
        text += &format!(
            "\nTenants that stay on it and get no changes: {tenants}. To let the machine join again:\n  maliknode worker token --for {name}"
        );
    }
    text
}

/// Prints a line for each node, and below them a line for each problem.
fn print_table(nodes: &[Value], out: Output) {
    let now = SystemClock.now();
    let columns = [
        Column::text("NAME", "name"),
        Column::text("STANDING", "standing"),
        Column::number("TENANTS", "tenants"),
        Column::text("HOST", "host"),
        Column::text("VERSION", "version"),
        Column::of("HEARD", |node| heard(node, now)),
        Column::of("CERTIFICATE", |node| certificate(node, now)),
    ];
    out.table(nodes, &columns, "There is no node.");
    if !out.is_json() {
        for node in nodes {
            for problem in node["problems"].as_array().into_iter().flatten() {
                print(&format!("{}: {}", name_of(node), text(&problem["message"])));
            }
        }
    }
}

fn print_node(node: &Value, out: Output) {
    let now = SystemClock.now();
    let problems = |node: &Value| {
        let all = node["problems"].as_array().into_iter().flatten();
        let all: Vec<String> = all.map(|p| text(&p["message"])).collect();
        match all.is_empty() {
            true => "-".to_owned(),
            false => all.join(" "),
        }
    };
    let fields = [
        Column::text("name", "name"),
        Column::text("standing", "standing"),
        Column::text("own node", "local"),
        Column::text("tenants", "tenants"),
        Column::of("more fit", |node| text(&node["capacity"]["more"])),
        Column::text("host", "host"),
        Column::text("version", "version"),
        Column::text("WireGuard", "wireguard"),
        Column::of("heard", |node| heard(node, now)),
        Column::of("certificate", |node| date(&node["certificate_expires"])),
        Column::of("problems", problems),
    ];
    out.fields(node, &fields);
}

fn heard(node: &Value, now: Timestamp) -> String {
    match (node["local"] == true, timestamp(&node["last_heard"])) {
        (true, _) => "-".to_owned(),
        (false, Some(at)) => at.ago(now),
        (false, None) => "never".to_owned(),
    }
}

/// Returns for how long a certificate is valid, in whole days.
fn certificate(node: &Value, now: Timestamp) -> String {
    let Some(expires) = timestamp(&node["certificate_expires"]) else {
        return "-".to_owned();
    };
    match expires.millis_since(now) / DAY_MILLIS {
        _ if expires <= now => "expired".to_owned(),
        0 => "under a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
