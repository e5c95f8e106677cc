//! The command line's small jobs. They work on the database beside a server
//! that runs: it finds the change at its next look, 10 s later at most.

use crate::{
    cli::EventsQuery, config::Config, machine::Machine, serve::open_store, start_error::StartError,
};
use app::ui::format;
use control::Control;
use domain::{ErrorCode, Failure, TenantId, TenantName, TenantScope};
use provisioning::{Clock, SystemClock};
use std::collections::HashMap;
use store::{Event, Store, TenantListing};

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
        return Err(no_tenant(&name).into());
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

/// `events [--tenant NAME] [--since TIME] [--limit COUNT] [--json]`: the event
/// log, oldest first, as a log is read.
///
/// # Errors
/// No such tenant, no database.
pub async fn events(config: &Config, query: &EventsQuery) -> Result<(), StartError> {
    let store = open_store(config).await?;
    let events = match &query.tenant {
        None => store.events_recent(query.limit).await?,
        Some(name) => {
            let name = TenantName::parse(name)?;
            let tenant = store.tenant_by_name(&name).await?;
            let tenant = tenant.ok_or_else(|| no_tenant(&name))?;
            let scope = TenantScope::issue(tenant.id, name, "operator:cli");
            store.tenant_events(&scope, query.limit).await?
        }
    };
    let since = query.since.map(|span| {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        SystemClock.now().plus_millis(millis.saturating_neg())
    });
    let events = events.into_iter().rev();
    let events: Vec<_> = events.filter(|e| since.is_none_or(|s| e.at >= s)).collect();
    let names = names(&store).await?;
    store.close().await;
    if query.json {
        println!("{}", as_json(&events, &names));
    } else if events.is_empty() {
        println!("Nothing has happened.");
    } else {
        for e in &events {
            println!("{}  {:<28} {}", format::exact(e.at), e.kind, e.detail);
        }
    }
    Ok(())
}

async fn names(store: &Store) -> Result<HashMap<TenantId, TenantName>, StartError> {
    let all = tenants(store).await?.into_iter();
    Ok(all.map(|l| (l.tenant.id, l.tenant.name)).collect())
}

/// An array of objects; `tenant` is null for the node's own and for who left.
fn as_json(events: &[Event], names: &HashMap<TenantId, TenantName>) -> serde_json::Value {
    let event = |e: &Event| {
        serde_json::json!({
            "at": format::iso(e.at),
            "tenant": e.tenant.and_then(|id| names.get(&id)).map(TenantName::as_str),
            "kind": e.kind,
            "sentence": e.detail,
        })
    };
    events.iter().map(event).collect()
}

fn no_tenant(name: &TenantName) -> Failure {
    let sentence = format!("there is no tenant {name}; `maliknode tenant list` shows all");
    Failure::new(ErrorCode::NotFound, sentence)
}
