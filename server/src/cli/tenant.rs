//! `maliknode tenant list`, `… show NAME`, `… create NAME`, `… plan NAME PLAN`,
//! `… suspend NAME`, `… resume NAME`, `… move NAME`, `… reset NAME`, `… resources` and
//! `… delete NAME [--yes]`.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    moves::{self, Waiting},
    new_tenant::{self, NewTenant},
    node, operator,
    output::{Column, Output, bytes, date, id, text},
};
use clap::Subcommand;
use domain::{Message, PublicKey, Slot, TenantName, marks::container_user};
use provisioning::spec::docker_name;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Print all tenants
    List,
    /// Print a tenant's numbers and names, e.g. of its container, for docker logs
    Show(Named),
    /// Create a tenant
    Create(NewTenant),
    /// Give a tenant another plan, also one that visitors do not see
    Plan {
        #[command(flatten)]
        tenant: Named,
        /// The plan's id in `maliknode plan list`
        plan: String,
    },
    /// Let nothing of a tenant run; nothing is lost
    Suspend(Named),
    /// End a suspension
    Resume(Named),
    /// Move a tenant to another node, with its keys, port, addresses and devices
    ///
    /// What its AdGuard Home has stored is copied: settings, statistics and the query log.
    /// Devices go on with the configuration that they have: the former node sends their
    /// packets on, for nodes.forward_hours.
    Move {
        #[command(flatten)]
        tenant: Named,
        /// The new node [default: the emptiest that has the tenant's slot free]
        #[arg(long, value_name = "NODE", conflicts_with = "cancel")]
        to: Option<String>,
        /// Leave behind what its AdGuard Home has stored, e.g. because the former node is
        /// away or cannot copy it
        #[arg(long)]
        without_data: bool,
        /// End a move that was not carried out yet
        #[arg(long)]
        cancel: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Print a link by which a tenant chooses a new password, for one who has lost it
    ///
    /// It works once, for an hour. Until it is used, the former password stays.
    Reset {
        #[command(flatten)]
        tenant: Named,
        /// Take the second factors away, too, of a tenant who has lost them
        #[arg(long)]
        without_factors: bool,
    },
    /// Print which tenant uses how much of its node: processor, memory, disk and connections
    Resources,
    /// Delete a tenant with everything that belongs to it
    Delete {
        #[command(flatten)]
        tenant: Named,
        /// Delete it; without this, only say what would be deleted
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The tenant's name
    name: String,
}

impl ApiCommand for TenantCommand {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        match self {
            Self::List => list(client, out).await,
            Self::Show(tenant) => show(client, out, &tenant.name).await,
            Self::Create(new) => new_tenant::create(client, out, new).await,
            Self::Plan { tenant, plan } => {
                let said = format!("{} has the plan {plan}.", tenant.name);
                change(client, out, &tenant.name, json!({ "plan": plan }), &said).await
            }
            Self::Suspend(tenant) => {
                let said = format!("{} is suspended: nothing of it runs.", tenant.name);
                change(
                    client,
                    out,
                    &tenant.name,
                    json!({ "suspended": true }),
                    &said,
                )
                .await
            }
            Self::Resume(tenant) => {
                let said = format!("{} is not suspended.", tenant.name);
                change(
                    client,
                    out,
                    &tenant.name,
                    json!({ "suspended": false }),
                    &said,
                )
                .await
            }
            Self::Move {
                tenant,
                to,
                without_data,
                cancel,
                waiting,
            } => match cancel {
                true => cancel_move(client, out, &tenant.name).await,
                false => {
                    let to = to.as_deref();
                    move_to(client, out, &tenant.name, to, *without_data, *waiting).await
                }
            },
            Self::Reset {
                tenant,
                without_factors,
            } => reset(client, out, &tenant.name, *without_factors).await,
            Self::Resources => resources(client, out).await,
            Self::Delete { tenant, yes } => delete(client, out, &tenant.name, *yes).await,
        }
    }
}

/// Finds a tenant by its name.
///
/// # Errors
/// There is none of that name.
pub(super) async fn find(client: &Client, name: &str) -> Result<Value, CallError> {
    let call = client.get(&["operator", "tenants"]).query("name", name);
    let found = call.items(1).await?.pop();
    found.ok_or_else(|| {
        let name = name.trim().to_owned();
        CallError::NotFound(texts::english().message(&Message::TenantUnknown { name }))
    })
}

async fn list(client: &Client, out: Output) -> Result<(), CallError> {
    let tenants = client
        .get(&["operator", "tenants"])
        .items(usize::MAX)
        .await?;
    let plan = |t: &Value| match t["suspended"] == true {
        true => format!("{}, suspended", text(&t["plan"])),
        false => text(&t["plan"]),
    };
    let columns = [
        Column::text("NAME", "name"),
        Column::number("SLOT", "slot"),
        Column::text("SUBNET", "subnet"),
        Column::number("DEVICES", "devices"),
        Column::number("ONLINE", "online"),
        Column::of("PLAN", plan),
        Column::text("NODE", "node"),
        Column::of("DATA", |t| bytes(&t["data"]["used_bytes"])).right(),
        Column::of("STATE", state),
    ];
    out.table(&tenants, &columns, "There is no tenant.");
    Ok(())
}

/// Returns how a tenant is.
fn state(tenant: &Value) -> String {
    match tenant["ready"] == true {
        true => "ready".to_owned(),
        false => tenant["problem"].as_str().unwrap_or("working").to_owned(),
    }
}

async fn show(client: &Client, out: Output, name: &str) -> Result<(), CallError> {
    let tenant = find(client, name).await?;
    let slot = tenant["slot"].as_u64().and_then(|n| u16::try_from(n).ok());
    let slot = slot.and_then(Slot::new);
    let of_slot = |f: &dyn Fn(Slot) -> String| slot.map_or_else(|| "-".to_owned(), f);
    let parsed = tenant["name"]
        .as_str()
        .and_then(|n| TenantName::parse(n).ok());
    let of_name =
        |f: &dyn Fn(&TenantName) -> String| parsed.as_ref().map_or_else(|| "-".to_owned(), f);
    let key = tenant["public_key"].as_str();
    let key = key.and_then(|key| PublicKey::parse(key).ok());
    let folder = of_name(&|name| {
        let folder = std::path::Path::new("users").join(name.folder());
        let root = client.config().map(|config| config.root.as_path());
        root.unwrap_or(std::path::Path::new(""))
            .join(folder)
            .display()
            .to_string()
    });
    let user = of_slot(&|slot| format!("{0}:{0}", container_user(slot)));
    let suspended = match tenant["suspended"] == true {
        true => ", suspended",
        false => "",
    };
    let data = |t: &Value| {
        let (used, limit) = (&t["data"]["used_bytes"], &t["data"]["limit_bytes"]);
        match limit.is_null() {
            true => bytes(used),
            false => format!("{} of {}", bytes(used), bytes(limit)),
        }
    };
    let fields = [
        Column::of("tenant", |t| format!("{}{suspended}", text(&t["name"]))),
        Column::text("plan", "plan"),
        Column::of("state", state),
        Column::text("node", "node"),
        Column::text("slot", "slot"),
        Column::of("interface", |_| {
            of_slot(&|slot| slot.interface().to_string())
        }),
        Column::text("subnet", "subnet"),
        Column::text("devices", "devices"),
        Column::text("online", "online"),
        Column::of("data", data),
        Column::of("since", |t| date(&t["created_at"])),
        Column::of("container", |_| of_name(&TenantName::container)),
        // Docker tells this one to every other container, so it says nothing.
        Column::of("in Docker", |_| {
            key.as_ref().map_or_else(|| "-".to_owned(), docker_name)
        }),
        Column::text("address", "dns_address"),
        Column::of("user", |_| user.clone()),
        Column::of("folder", |_| folder.clone()),
    ];
    out.fields(&tenant, &fields);
    Ok(())
}

async fn change(
    client: &Client,
    out: Output,
    name: &str,
    change: Value,
    said: &str,
) -> Result<(), CallError> {
    let tenant = find(client, name).await?;
    let call = client.patch(&["operator", "tenants", &id(&tenant)]);
    let changed = call.json(change).object().await?;
    out.say(&changed, said);
    Ok(())
}

async fn reset(
    client: &Client,
    out: Output,
    name: &str,
    without_factors: bool,
) -> Result<(), CallError> {
    let tenant = find(client, name).await?;
    let call = client.post(&["operator", "tenants", &id(&tenant), "reset-link"]);
    let call = call.json(json!({ "without_factors": without_factors }));
    operator::said(&call.object().await?, out);
    Ok(())
}

async fn resources(client: &Client, out: Output) -> Result<(), CallError> {
    let tenants = client.get(&["operator", "resources"]).list().await?;
    let processor = |t: &Value| match t["cpu_percent"].as_f64() {
        Some(percent) => format!("{percent:.1} %"),
        None => text(&t["cpu_percent"]),
    };
    let columns = [
        Column::text("NAME", "name"),
        Column::of("PROCESSOR", processor).right(),
        Column::of("MEMORY", |t| bytes(&t["memory_bytes"])).right(),
        Column::of("DISK", |t| bytes(&t["disk_bytes"])).right(),
        Column::number("CONNECTIONS", "connections"),
        Column::of("DATA OF THE MONTH", |t| bytes(&t["used_bytes"])).right(),
    ];
    out.table(&tenants, &columns, "There is no tenant.");
    Ok(())
}

async fn delete(client: &Client, out: Output, name: &str, yes: bool) -> Result<(), CallError> {
    let tenant = find(client, name).await?;
    let name = text(&tenant["name"]);
    if !yes {
        return Err(CallError::Usage(format!(
            "this deletes {name} with {} devices, their keys and the DNS filter's log; say --yes to do it",
            text(&tenant["devices"])
        )));
    }
    let call = client.delete(&["operator", "tenants", &id(&tenant)]);
    call.query("name", &name).send().await?;
    out.done(&match client.is_database() {
        true => format!("{name} is deleted. A running server removes the rest within 10 seconds."),
        false => format!("{name} is deleted."),
    });
    Ok(())
}

async fn move_to(
    client: &Client,
    out: Output,
    name: &str,
    to: Option<&str>,
    without_data: bool,
    waiting: Waiting,
) -> Result<(), CallError> {
    let tenant = find(client, name).await?;
    let to = match to {
        Some(to) => node::find(client, to).await?["id"].clone(),
        None => Value::Null,
    };
    let call = client.post(&["operator", "tenants", &id(&tenant), "move"]);
    let target = json!({ "to": to, "without_data": without_data });
    call.json(target).begins().send().await?;
    moves::tenant_moved(client, out, &tenant, waiting).await
}

async fn cancel_move(client: &Client, out: Output, name: &str) -> Result<(), CallError> {
    let tenant = find(client, name).await?;
    let call = client.delete(&["operator", "tenants", &id(&tenant), "move"]);
    call.send().await?;
    out.done(&format!("{} stays where it is.", text(&tenant["name"])));
    Ok(())
}
