//! `maliknode tenant list`, `maliknode tenant show NAME`, `maliknode tenant move NAME` and
//! `maliknode tenant delete NAME [--yes]`.

use super::{
    database::{core, no_such_tenant, tenants},
    moves::{self, Waiting},
};
use crate::{config::Config, start_error::StartError, storage::open_store};
use clap::Subcommand;
use control::Control;
use domain::{ErrorCode, Failure, TenantName, TenantScope, marks::container_user};
use provisioning::spec::docker_name;

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Print all tenants
    List,
    /// Print a tenant's numbers and names, e.g. of its container, for docker logs
    Show {
        /// The tenant's name
        name: String,
    },
    /// Move a tenant to another node, with its keys, port, addresses and devices
    ///
    /// Devices go on with the configuration that they have: the former node sends their
    /// packets on, for nodes.forward_hours.
    Move {
        /// The tenant's name
        name: String,
        /// The new node [default: the emptiest that has the tenant's slot free]
        #[arg(long, value_name = "NODE", conflicts_with = "cancel")]
        to: Option<String>,
        /// Leave the settings, statistics and query log of its AdGuard Home behind, which
        /// are not copied
        #[arg(long)]
        without_data: bool,
        /// End a move that was not carried out yet
        #[arg(long)]
        cancel: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Delete a tenant with everything that belongs to it
    Delete {
        /// The tenant's name
        name: String,
        /// Delete it; without this, only say what would be deleted
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(config: &Config, command: &TenantCommand) -> Result<(), StartError> {
    match command {
        TenantCommand::List => list(config).await,
        TenantCommand::Show { name } => show(config, name).await,
        TenantCommand::Move {
            name,
            to,
            without_data,
            cancel,
            waiting,
        } => match cancel {
            true => cancel_move(config, name).await,
            false => move_to(config, name, to.as_deref(), *without_data, *waiting).await,
        },
        TenantCommand::Delete { name, yes } => delete(config, name, *yes).await,
    }
}

/// # Errors
/// No database.
async fn list(config: &Config) -> Result<(), StartError> {
    let store = open_store(config).await?;
    let all = tenants(&store).await?;
    println!(
        "{:<32} {:>5}  {:<18} {:>7} {:>7}  PLAN",
        "NAME", "SLOT", "SUBNET", "DEVICES", "ONLINE"
    );
    for l in &all {
        let t = &l.tenant;
        println!(
            "{:<32} {:>5}  {:<18} {:>7} {:>7}  {}{}",
            t.name.as_str(),
            t.slot.get(),
            config.addresses.subnet(t.slot).to_string(),
            l.devices,
            l.online,
            t.plan.name,
            if t.state == store::TenantState::Suspended {
                ", suspended"
            } else {
                ""
            }
        );
    }
    store.close().await;
    Ok(())
}

/// # Errors
/// No such tenant, no database.
async fn show(config: &Config, name: &str) -> Result<(), StartError> {
    let name = TenantName::parse(name)?;
    let store = open_store(config).await?;
    let all = tenants(&store).await?;
    store.close().await;
    let listing = all.into_iter().find(|l| l.tenant.name == name);
    let Some(listing) = listing else {
        return Err(no_such_tenant(&name).into());
    };
    let (t, addresses) = (&listing.tenant, &config.addresses);
    let suspended = match t.state {
        store::TenantState::Suspended => ", suspended",
        _ => "",
    };
    let user = container_user(t.slot);
    let lines = [
        ("tenant", format!("{}{suspended}", t.name)),
        ("plan", t.plan.name.clone()),
        ("slot", t.slot.to_string()),
        ("interface", t.slot.interface().to_string()),
        ("subnet", addresses.subnet(t.slot).to_string()),
        ("devices", listing.devices.to_string()),
        ("container", t.name.container()),
        // Docker tells this one to every other container, so it says nothing.
        ("in Docker", docker_name(&t.public_key)),
        ("address", addresses.container(t.slot).to_string()),
        ("user", format!("{user}:{user}")),
        (
            "folder",
            config
                .root
                .join("users")
                .join(t.name.folder())
                .display()
                .to_string(),
        ),
    ];
    for (what, value) in lines {
        println!("{what:<10} {value}");
    }
    Ok(())
}

/// # Errors
/// No such tenant, no `--yes`, no database.
async fn delete(config: &Config, name: &str, yes: bool) -> Result<(), StartError> {
    let name = TenantName::parse(name)?;
    let (store, control) = core(config).await?;
    let listing = tenants(&store)
        .await?
        .into_iter()
        .find(|l| l.tenant.name == name);
    let Some(listing) = listing else {
        return Err(no_such_tenant(&name).into());
    };
    if !yes {
        return Err(StartError::Usage(format!(
            "this deletes {name} with {} devices, their keys and the DNS filter's log; say --yes to do it",
            listing.devices
        )));
    }
    let scope = control.auth().command_line(&name).await?;
    control.tenants().delete(&scope).await?;
    store.close().await;
    println!("{name} is deleted. A running server removes the rest within 10 seconds.");
    Ok(())
}

/// # Errors
/// No such tenant or node, a move that cannot be, no database.
async fn move_to(
    config: &Config,
    name: &str,
    to: Option<&str>,
    without_data: bool,
    waiting: Waiting,
) -> Result<(), StartError> {
    let name = TenantName::parse(name)?;
    let (store, control) = core(config).await?;
    let operator = control.auth().command_line_operator();
    let scope = scope_of(&control, &name).await?;
    let nodes = control.nodes();
    let to = match to {
        Some(to) => Some(nodes.find(&operator, to).await?.id),
        None => None,
    };
    let begun = nodes.move_tenant(&operator, &scope, to, without_data);
    begun.await?;
    moves::tenant_moved(&control, &operator, &scope, waiting).await?;
    store.close().await;
    Ok(())
}

/// # Errors
/// No such tenant, no move of it, no database.
async fn cancel_move(config: &Config, name: &str) -> Result<(), StartError> {
    let name = TenantName::parse(name)?;
    let (store, control) = core(config).await?;
    let operator = control.auth().command_line_operator();
    let scope = scope_of(&control, &name).await?;
    control.nodes().cancel_move(&operator, &scope).await?;
    store.close().await;
    println!("{name} stays where it is.");
    Ok(())
}

/// # Errors
/// No such tenant, no database.
async fn scope_of(control: &Control, name: &TenantName) -> Result<TenantScope, Failure> {
    let scope = control.auth().command_line(name).await;
    scope.map_err(|failure| match failure.code {
        ErrorCode::NotFound => no_such_tenant(name),
        _ => failure,
    })
}
