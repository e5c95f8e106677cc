//! `maliknode tenant list` and `maliknode tenant delete NAME [--yes]`.

use super::database::{core, no_such_tenant, tenants};
use crate::{config::Config, start_error::StartError, storage::open_store};
use clap::Subcommand;
use domain::TenantName;

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Print all tenants
    List,
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
