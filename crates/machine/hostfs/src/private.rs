//! Files and folders that only this process's user can read, or the user that they
//! are given to. Folders are 0700 and files 0600. A file is written completely under another name and then
//! renamed, so a reader never sees half of it.
//!
//! Nothing is flushed to the disk by force: each of these files can be written
//! again from the database. What cannot has [`write_durable_file`].

use domain::{ErrorCode, Message};
use provisioning::ports::{PortError, PortResult};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::Path,
};

/// What failed on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskAction {
    Read,
    Write,
    Remove,
    MakeFolder,
    CloseFolder,
}

/// Returns a function that turns the I/O error of an action on a path into
/// `DiskUnavailable`.
pub fn disk_error(action: DiskAction, path: &Path) -> impl FnOnce(io::Error) -> PortError {
    let path = path.display().to_string();
    let message = match action {
        DiskAction::Read => Message::DiskReadFailed { path },
        DiskAction::Write => Message::DiskWriteFailed { path },
        DiskAction::Remove => Message::DiskRemoveFailed { path },
        DiskAction::MakeFolder => Message::FolderNotMade { path },
        DiskAction::CloseFolder => Message::FolderNotClosed { path },
    };
    move |e| PortError::because(ErrorCode::DiskUnavailable, message, e)
}

/// Creates a folder that only we can enter, and the folders above it.
///
/// # Errors
/// `DiskUnavailable`.
pub fn create_private_dir(path: &Path) -> PortResult<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(disk_error(DiskAction::MakeFolder, path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(disk_error(DiskAction::CloseFolder, path))
}

/// Creates a folder that everybody who gets to it can read, and the folders above it,
/// which only we can enter: a container reads it through a mount.
///
/// # Errors
/// `DiskUnavailable`.
pub fn create_shared_dir(path: &Path) -> PortResult<()> {
    create_private_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(disk_error(DiskAction::CloseFolder, path))
}

/// Lets everybody who gets to a file read it. Does nothing where there is no file.
///
/// # Errors
/// `DiskUnavailable`.
pub fn share_file(path: &Path) -> PortResult<()> {
    match fs::set_permissions(path, fs::Permissions::from_mode(0o644)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(disk_error(DiskAction::Write, path)),
    }
}

/// Calls a function that gives something to a user, where we have root's rights.
fn give(user: u32, to: impl FnOnce(Option<u32>) -> io::Result<()>) -> io::Result<()> {
    match nix::unistd::Uid::effective().is_root() {
        true => to(Some(user)),
        false => Ok(()),
    }
}

/// Writes a file that only we can read. It replaces the old file in one step.
///
/// # Errors
/// `DiskUnavailable`.
pub fn write_private_file(path: &Path, content: &[u8]) -> PortResult<()> {
    write_file(path, content, None, false)
}

/// Writes a file that only we can read. It replaces the old file in one step, and after a
/// power failure there is the old one or the new one.
///
/// # Errors
/// `DiskUnavailable`.
pub fn write_durable_file(path: &Path, content: &[u8]) -> PortResult<()> {
    write_file(path, content, None, true)?;
    let synced = match path.parent() {
        Some(folder) => fs::File::open(folder).and_then(|folder| folder.sync_all()),
        None => Ok(()),
    };
    synced.map_err(disk_error(DiskAction::Write, path))
}

/// Writes a file that only this user and we can read. It replaces the old file in one
/// step. (Without root's rights it stays ours.)
///
/// # Errors
/// `DiskUnavailable`.
pub fn write_file_for(path: &Path, content: &[u8], user: u32) -> PortResult<()> {
    write_file(path, content, Some(user), false)
}

/// Replaces the content of a file in one step; its mode and owner stay. Where the path is
/// a link, the file that it points to is replaced. After a power failure there is the old
/// content or the new one. Where there is no file, only we can read the new one.
///
/// # Errors
/// `DiskUnavailable`.
pub fn replace_file(path: &Path, content: &[u8]) -> PortResult<()> {
    let failed = || disk_error(DiskAction::Write, path);
    let file = match fs::canonicalize(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return write_durable_file(path, content),
        file => file.map_err(failed())?,
    };
    let former = fs::metadata(&file).map_err(failed())?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = file.with_file_name(format!(".{name}.replaced"));
    // The new file has the mode and owner before it has the name.
    write_durable_file(&temporary, content)?;
    let replace = || -> io::Result<()> {
        let new = fs::File::open(&temporary)?;
        if nix::unistd::Uid::effective().is_root() {
            fchown(&new, Some(former.uid()), Some(former.gid()))?;
        }
        new.set_permissions(former.permissions())?;
        new.sync_all()?;
        fs::rename(&temporary, &file)?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        fs::File::open(folder)?.sync_all()
    };
    replace().map_err(|e| {
        let _ = fs::remove_file(&temporary);
        failed()(e)
    })
}

fn write_file(path: &Path, content: &[u8], user: Option<u32>, durable: bool) -> PortResult<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.new"));
    // Always a new file: an existing one may be a link to somewhere else.
    let open = || {
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
    };
    let write = || -> io::Result<()> {
        let mut f = match open() {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&temporary)?;
                open()?
            }
            other => other?,
        };
        f.set_permissions(fs::Permissions::from_mode(0o600))?;
        if let Some(user) = user {
            give(user, |user| fchown(&f, user, user))?;
        }
        f.write_all(content)?;
        if durable {
            f.sync_all()?;
        }
        fs::rename(&temporary, path)
    };
    write().map_err(|e| {
        // An incomplete file must not fill the disk further.
        let _ = fs::remove_file(&temporary);
        disk_error(DiskAction::Write, path)(e)
    })
}
