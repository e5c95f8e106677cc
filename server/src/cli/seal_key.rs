//! `maliknode seal-key change`: a new key for what is sealed in the database and in the
//! checkpoint. Every control plane is stopped meanwhile; tunnels and DNS filters are the
//! kernel's and the containers', and stay up.

use crate::{
    config::Config,
    console::print_line,
    start_error::StartError,
    storage::{lock_root, refuse_worker, spec_checkpoint},
};
use clap::Subcommand;
use seal::Sealer;
use store::{LOCAL_NODE, Store};

#[derive(Debug, Subcommand)]
pub(super) enum SealKeyCommand {
    /// Make a new key, and seal everything with it in place of the former one
    ///
    /// Stop the server first (systemctl stop maliknode), and every other control plane on
    /// the same database; tunnels and DNS filters stay up meanwhile. The database is changed
    /// in one transaction. If the command is interrupted, say it again: until it ends, the
    /// key file has both keys. A backup that was made before needs the key file that was
    /// backed up with it.
    Change,
    /// Make the key file that the setting seal_key names; where it is not set, the first
    /// start makes it
    Create,
}

/// # Errors
/// A server that runs, a key file or database that cannot be used.
pub(super) async fn run(config: &Config, command: &SealKeyCommand) -> Result<(), StartError> {
    match command {
        SealKeyCommand::Change => change(config).await,
        SealKeyCommand::Create => create(config),
    }
}

fn create(config: &Config) -> Result<(), StartError> {
    let path = &config.seal_key;
    if path.exists() {
        return Err(StartError::Key(format!(
            "{} exists already: `maliknode seal-key change` changes it",
            path.display()
        )));
    }
    Sealer::from_key_file(path)?;
    print_line(&format!("{} has a new key. Back it up.", path.display()));
    Ok(())
}

async fn change(config: &Config) -> Result<(), StartError> {
    refuse_worker(config)?;
    let path = config.seal_key.as_path();
    if !path.exists() {
        return Err(StartError::Key(format!(
            "{} does not exist, so there is no key to change",
            path.display()
        )));
    }
    let lock = lock_root(config)?;
    // With the key as it is: a key file that does not belong to this database, or a control
    // plane that runs elsewhere, is found before anything is changed.
    let store = Store::open(&config.database_url, Sealer::from_key_file(path)?).await?;
    let others = store.heard_control_planes().await?;
    store.close().await;
    if !others.is_empty() {
        return Err(StartError::Usage(format!(
            "{} other control planes use this database: stop them first. One that has crashed \
             counts for a minute",
            others.len()
        )));
    }
    let sealer = Sealer::begin_key_change(path)?;
    let store = Store::open(&config.database_url, sealer).await?;
    let resealed = store.reseal().await?;
    store.close().await;
    let is_checkpoint_changed = spec_checkpoint(config, LOCAL_NODE)?.reseal()?;
    Sealer::finish_key_change(path)?;
    drop(lock);
    print_line(&format!(
        "{} values in the database{} are sealed with the new key in {}.",
        resealed.changed + resealed.unchanged,
        if is_checkpoint_changed {
            " and the checkpoint"
        } else {
            ""
        },
        path.display()
    ));
    print_line("Back it up now. Copy it to every other control plane before you start that.");
    Ok(())
}
