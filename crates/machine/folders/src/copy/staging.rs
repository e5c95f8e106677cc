//! Where a folder lies that has arrived before its tenant: `users/.incoming_user_<name>`. It
//! is complete once it has a mark, with the tenant's key: a later tenant of the same name
//! never gets it. What no tenant comes for is removed after a day.

use super::{
    reception::Reception,
    unpack::{Files, UnpackError, Unpacker},
};
use crate::contents::MAX_ENTRIES;
use bytes::Bytes;
use domain::{TenantName, marks::container_user};
use hostfs::{DiskAction, HeldDir, create_private_dir, disk_error, write_durable_file};
use protocol::TenantSpec;
use provisioning::{ports::PortResult, spec::NodeSettings};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// How the name of a folder begins that has arrived before its tenant.
pub(crate) const INCOMING_PREFIX: &str = ".incoming_";
/// The mark of a complete one. It has the tenant's key.
const COMPLETE: &str = "complete";
/// How the name of data begins that an arrived folder has replaced.
const REPLACED_PREFIX: &str = ".gone_data_";
/// How long a folder stays for which no tenant comes.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long one stays that nothing is written to and that is not complete.
const MAX_INCOMPLETE_AGE: Duration = Duration::from_secs(3600);

/// The most files of a copy that are given to the container's user.
const MAX_GIVEN: u64 = MAX_ENTRIES;

/// The folders that are being written, so that two copies never write to one.
static WRITTEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A folder that is being written, until it is dropped.
pub(super) struct Claim(PathBuf);

impl Drop for Claim {
    fn drop(&mut self) {
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        written.remove(&self.0);
    }
}

/// The place for a tenant's folder.
#[derive(Clone, Debug)]
pub(super) struct Staging(PathBuf);

impl Staging {
    pub fn new(settings: &NodeSettings, name: &TenantName) -> Self {
        let folder = format!("{INCOMING_PREFIX}{}", name.folder());
        Self(settings.users_dir().join(folder))
    }

    /// Claims the folder for one copy; `None` while another has it.
    pub fn claim(&self) -> Option<Claim> {
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = written.insert(self.0.clone());
        is_new.then(|| Claim(self.0.clone()))
    }

    /// Writes an archive, piece by piece. What an earlier pass has left is used; otherwise
    /// the folder is empty at first. It does not exist after an error.
    pub fn write(
        &self,
        reception: &Reception,
        before: Files,
        next: impl FnMut() -> Option<Bytes>,
    ) -> Result<(Files, u64), UnpackError> {
        let written = self.write_all(reception, before, next);
        if written.is_err() {
            // What cannot be removed now is removed by the next copy or the sweep.
            let _ = remove_tree(&self.0);
        }
        written
    }

    fn write_all(
        &self,
        reception: &Reception,
        before: Files,
        mut next: impl FnMut() -> Option<Bytes>,
    ) -> Result<(Files, u64), UnpackError> {
        if before.is_empty() {
            remove_tree(&self.0)?;
        }
        create_private_dir(&self.0)?;
        let mut unpacker = Unpacker::new(self.0.clone(), before, reception.max_bytes);
        while let Some(piece) = next() {
            unpacker.feed(&piece)?;
        }
        let written = unpacker.finish()?;
        if reception.is_last {
            self.complete(reception)?;
        }
        Ok(written)
    }

    /// Gives the files to the container's user, and marks the folder as complete.
    fn complete(&self, reception: &Reception) -> PortResult<()> {
        let failed = || disk_error(DiskAction::Write, &self.0);
        let held = HeldDir::open(&self.0).map_err(failed())?;
        for top in super::format::TOP {
            match held.dir(top) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed()(e)),
                Ok(dir) => {
                    let given = dir.give_to(container_user(reception.slot), MAX_GIVEN);
                    given.map_err(failed())?;
                }
            }
        }
        let owner = reception.owner.to_string();
        write_durable_file(&self.0.join(COMPLETE), owner.as_bytes())
    }
}

/// Makes a folder that has arrived for a tenant the tenant's. It replaces what the tenant had
/// left here. Its container must not run.
///
/// # Errors
/// `DiskUnavailable`; the call can be made again.
pub(crate) fn adopt(settings: &NodeSettings, t: &TenantSpec) -> PortResult<()> {
    let Staging(incoming) = Staging::new(settings, &t.name);
    let owner = match fs::read_to_string(incoming.join(COMPLETE)) {
        Ok(owner) => owner,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(disk_error(DiskAction::Read, &incoming)(e)),
    };
    if owner != t.private_key.public().to_string() {
        // Of an earlier tenant of the name, who has not arrived.
        return remove_tree(&incoming);
    }
    let data = settings.tenant_dir(&t.name).join("adguard_data");
    let former = format!("{REPLACED_PREFIX}{}", t.name.folder());
    let former = settings.users_dir().join(former);
    remove_tree(&former)?;
    let failed = || disk_error(DiskAction::Write, &data);
    match fs::rename(&data, &former) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed()(e)),
        _ => {}
    }
    fs::rename(&incoming, &data).map_err(failed())?;
    tracing::info!(tenant = %t.name, "what AdGuard Home had stored on another node is the tenant's now");
    match fs::remove_file(data.join(COMPLETE)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed()(e)),
        _ => {}
    }
    remove_tree(&former)
}

/// Removes what has arrived for a tenant of this name.
///
/// # Errors
/// `DiskUnavailable`.
pub(crate) fn remove(settings: &NodeSettings, name: &TenantName) -> PortResult<()> {
    remove_tree(&Staging::new(settings, name).0)
}

/// Removes a folder for which no tenant has come. Returns whether it is one that waits for
/// its tenant, by its name.
///
/// # Errors
/// `DiskUnavailable`.
pub(crate) fn sweep(dir: &Path, now: SystemTime) -> PortResult<bool> {
    let name = dir.file_name().and_then(|name| name.to_str());
    if !name.is_some_and(|name| name.starts_with(INCOMING_PREFIX)) {
        return Ok(false);
    }
    let written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_written = written.contains(dir);
    drop(written);
    let max_age = match dir.join(COMPLETE).exists() {
        true => MAX_AGE,
        false => MAX_INCOMPLETE_AGE,
    };
    let age = fs::symlink_metadata(dir).and_then(|m| m.modified());
    let age = age.ok().and_then(|at| now.duration_since(at).ok());
    if !is_written && age.is_some_and(|age| age > max_age) {
        remove_tree(dir)?;
    }
    Ok(true)
}

fn remove_tree(dir: &Path) -> PortResult<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(disk_error(DiskAction::Remove, dir)),
    }
}
