//! Reads what one tenant's folder holds. A tenant cannot write there, but an
//! operator or a damaged disk can leave anything: links, pipes, endless files.

use domain::{PrivateKey, PublicKey, Slot};
use hostfs::{DiskAction, disk_error};
use provisioning::{
    hash::content_hash,
    observed::{DnsConf, FileStamp, ObservedFolder},
    ports::{PortError, PortResult},
};
use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// The most that is read of a file, in bytes. A full `wg<n>.conf` has about 50 kB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The most files of a tenant that [`DiskFolders::usage`](crate::DiskFolders::usage) counts. AdGuard Home has some
/// dozens.
pub const MAX_ENTRIES: u64 = 100_000;

/// AdGuard Home's configuration in a tenant's folder.
pub(crate) const DNS_CONF: &str = "adguard_data/conf/AdGuardHome.yaml";

/// Reads a tenant's folder, in which the private key is a file if `key_files` says so.
pub(crate) fn read_folder(dir: &Path, key_files: bool) -> PortResult<ObservedFolder> {
    let mut folder = ObservedFolder {
        owner: owner(dir, key_files),
        dns_conf: dns_conf(&dir.join(DNS_CONF)),
        ..ObservedFolder::default()
    };
    for entry in fs::read_dir(dir).map_err(disk_error(DiskAction::Read, dir))? {
        let entry = entry.map_err(disk_error(DiskAction::Read, dir))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let slot = name.strip_suffix(".conf").and_then(Slot::of_interface);
        if slot.is_some() {
            let content = content(&entry.path()).map_err(disk_error(DiskAction::Read, dir))?;
            folder.wg_confs.insert(name, content_hash(&content));
        }
    }
    Ok(folder)
}

/// Returns the state of AdGuard Home's configuration, from the file's metadata alone.
pub(crate) fn dns_conf(file: &Path) -> DnsConf {
    match fs::symlink_metadata(file) {
        Ok(metadata) => DnsConf::Present(FileStamp {
            inode: metadata.ino(),
            written: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
            length: metadata.len(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => DnsConf::Missing,
        Err(_) => DnsConf::Unread,
    }
}

/// Returns whether the error's cause is that a file does not exist.
pub(crate) fn is_not_found(e: &PortError) -> bool {
    let cause = e.cause.as_ref();
    let io = cause.and_then(|c| c.downcast_ref::<io::Error>());
    io.is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
}

/// Returns a file's content: nothing where it is a link, a socket or a pipe
/// (opening one could block forever), and the first [`MAX_FILE_BYTES`] where it
/// is longer. Neither ever matches the spec, so the file is written again.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let kind = fs::symlink_metadata(path)?.file_type();
    let mut content = Vec::new();
    if kind.is_file() {
        fs::File::open(path)?
            .take(MAX_FILE_BYTES)
            .read_to_end(&mut content)?;
    } else if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(content)
}

/// Returns the public key of the tenant whose folder it is. `None` where the
/// keys are incomplete, as after a power cut, or where a private key is a file that
/// should not be: the folder is then written again, not taken for another tenant's and
/// removed.
fn owner(dir: &Path, key_files: bool) -> Option<String> {
    let read = |name: &str| String::from_utf8(content(&dir.join("keys").join(name)).ok()?).ok();
    match key_files {
        true => drop(PrivateKey::parse(read("private.key")?.trim()).ok()?),
        false if fs::symlink_metadata(dir.join("keys/private.key")).is_ok() => return None,
        false => {}
    }
    let public = PublicKey::parse(read("public.key")?.trim()).ok()?;
    Some(public.to_string())
}
