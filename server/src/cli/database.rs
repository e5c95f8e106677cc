//! What the commands that work on the database share.

use crate::{
    config::Config,
    start_error::StartError,
    storage::open_store,
    wiring::{self, agent_settings},
};
use agent::Backends;
use control::{Control, Entropy};
use domain::{Clock, ErrorCode, Failure, Message, SystemClock, TenantName};
use std::sync::Arc;
use store::{LOCAL_NODE, Store, TenantListing};

/// Opens the database and builds the core; its node never runs.
pub(super) async fn core(config: &Config) -> Result<(Store, Control), StartError> {
    let store = open_store(config).await?;
    let backends = Backends::new(agent_settings(config, LOCAL_NODE))?;
    let nodes = wiring::agent(&backends, &store, None).nodes();
    let name = Entropy::system().process_name()?;
    let control = wiring::control(config, store.clone(), Arc::new(nodes), name);
    Ok((store, control))
}

pub(super) async fn tenants(store: &Store) -> Result<Vec<TenantListing>, StartError> {
    let now = SystemClock.now();
    let online_since = now.plus_millis(-domain::view::ONLINE_MILLIS);
    Ok(store.tenants(online_since, now).await?)
}

pub(super) fn no_such_tenant(name: &TenantName) -> Failure {
    let name = name.to_string();
    Failure::new(ErrorCode::NotFound, Message::TenantUnknown { name })
}
