//! The command line's small jobs. They work on the database beside a server
//! that runs: it finds the change at its next look, 10 s later at most.

use crate::{config::Config, machine::Machine, serve::open_store, start_error::StartError};
use control::Control;
use domain::{ErrorCode, Failure, TenantName, TenantScope};
use provisioning::{Clock, SystemClock};
use store::{Store, TenantListing};

/// The core without a node that runs.
async fn core(config: &Config) -> Result<(Store, Control), StartError> {
    let store = open_store(config).await?;
    let (_, control) = Machine::new(config)?.core(config, store.clone(), None);
    Ok((store, control))
}

/// `operator reset NAME`.
///
/// # Errors
/// No such operator, or no database.
pub async fn reset_operator(config: &Config, name: &str) -> Result<(), StartError> {
    let (store, control) = core(config).await?;
    // On a database nobody has served yet, the first operator is made.
    if let Some((first, password)) = control.ensure_operator().await?
        && first == name
    {
        println!(
            "{}   name {first}   password {}",
            config.url("admin"),
            password.expose()
        );
        store.close().await;
        return Ok(());
    }
    let password = control.reset_operator(name).await?;
    println!(
        "{}   name {name}   password {}",
        config.url("admin"),
        password.expose()
    );
    store.close().await;
    Ok(())
}

async fn tenants(store: &Store) -> Result<Vec<TenantListing>, StartError> {
    let since = SystemClock.now().plus_millis(-domain::view::ONLINE_MILLIS);
    Ok(store.tenants(since).await?)
}

/// `tenant list`.
///
/// # Errors
/// No database.
pub async fn list_tenants(config: &Config) -> Result<(), StartError> {
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

/// `tenant delete NAME [--yes]`.
///
/// # Errors
/// No such tenant, no `--yes`, no database.
pub async fn delete_tenant(config: &Config, name: &str, yes: bool) -> Result<(), StartError> {
    let name = TenantName::parse(name)?;
    let (store, control) = core(config).await?;
    let found = tenants(&store)
        .await?
        .into_iter()
        .find(|l| l.tenant.name == name);
    let Some(found) = found else {
        let sentence = format!("there is no tenant {name}; `maliknode tenant list` shows all");
        return Err(Failure::new(ErrorCode::NotFound, sentence).into());
    };
    if !yes {
        return Err(StartError::Usage(format!(
            "this deletes {name} with {} devices, their keys and the DNS filter's log; say --yes to do it",
            found.devices
        )));
    }
    let scope = TenantScope::issue(found.tenant.id, name.clone(), "operator:cli");
    control.delete_tenant(&scope).await?;
    store.close().await;
    println!("{name} is deleted. A server that runs clears up within 10 seconds.");
    Ok(())
}
