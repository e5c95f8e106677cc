//! What the commands that work on the database share.

use crate::{
    config::Config,
    start_error::StartError,
    storage::open_store,
    wiring::{self, agent_settings},
};
use agent::Backends;
use control::{Control, Entropy};
use std::sync::Arc;
use store::{LOCAL_NODE, Store};

/// Opens the database and builds the core; its node never runs.
pub(super) async fn core(config: &Config) -> Result<(Store, Control), StartError> {
    let store = open_store(config).await?;
    let backends = Backends::new(agent_settings(config, LOCAL_NODE))?;
    let nodes = wiring::agent(&backends, &store, None).nodes();
    let name = Entropy::system().process_name()?;
    let control = wiring::control(config, store.clone(), Arc::new(nodes), name, None);
    Ok((store, control))
}
