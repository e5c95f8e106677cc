//! What the server stores in the root folder: the database with its key, the
//! checkpoint of the last spec, and the lock that keeps a second server out.

use crate::{config::Config, database_file, start_error::StartError};
use agent::SpecCheckpoint;
use domain::{Message, NodeId};
use seal::Sealer;
use std::fs::{File, TryLockError};
use store::Store;

/// Opens the database with its key; creates folder, key and file where they do
/// not exist.
///
/// # Errors
/// The message says what to do.
pub async fn open_store(config: &Config) -> Result<Store, StartError> {
    refuse_worker(config)?;
    create_folders(config)?;
    database_file::use_file(config)?;
    Ok(Store::open(&config.database_url, sealer(config)?).await?)
}

/// Refuses a node of this control plane where the machine is a worker: each would remove
/// what the other has. A control plane without a node may be beside the worker.
///
/// # Errors
/// What to do instead.
pub(crate) fn refuse_worker(config: &Config) -> Result<(), StartError> {
    let folder = config.worker();
    match folder.exists() && !config.no_node {
        true => Err(StartError::from(&Message::WorkerDoesNotServe {
            path: folder.display().to_string(),
        })),
        false => Ok(()),
    }
}

/// Returns the file with the last spec of the node that this machine is. It is beside
/// the database, where there is one, and sealed with the same key.
///
/// # Errors
/// The key file cannot be used.
pub fn spec_checkpoint(config: &Config, node: NodeId) -> Result<SpecCheckpoint, StartError> {
    let path = config.central().join("last_spec");
    Ok(SpecCheckpoint::new(path, sealer(config)?, node))
}

/// Returns the key of what is sealed. Makes the file at the first start, unless the setting
/// `seal_key` names another place: what is missing there may only not be mounted.
///
/// # Errors
/// The key file cannot be used.
pub(crate) fn sealer(config: &Config) -> Result<Sealer, StartError> {
    let path = &config.seal_key;
    if !path.exists() && !path.starts_with(config.central()) {
        return Err(StartError::Key(format!(
            "the key file {} (setting seal_key) does not exist: mount or restore it; for a new \
             installation, `maliknode seal-key create` makes it",
            path.display()
        )));
    }
    Ok(Sealer::from_key_file(path)?)
}

fn create_folders(config: &Config) -> Result<(), StartError> {
    hostfs::create_private_dir(&config.root)?;
    hostfs::create_private_dir(&config.central())?;
    Ok(())
}

/// Locks the root folder for this process: two servers would each undo what the
/// other does.
pub(crate) fn lock_root(config: &Config) -> Result<File, StartError> {
    create_folders(config)?;
    let path = config.central().join("serve.lock");
    let unusable = |source| StartError::Folder {
        path: path.display().to_string(),
        source,
    };
    let file = File::create(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::Running(config.root.clone())),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}
