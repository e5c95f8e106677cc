//! Writes what a container needs on the disk for its first start: its folders,
//! a copy of each block list at AdGuard Home's own path, and the configuration.
//! Without the copies, the first 5 s would be unfiltered. The configuration is
//! written last, so if it exists, everything else does.
//!
//! The container writes to these folders too, and an attacker may control it.
//! So nothing here follows a symbolic link: this process is root, and a link
//! could lead it to any file. The container does not run meanwhile.

use crate::lists::Lists;
use hostfs::{DiskAction, create_private_dir, write_private_file};
use provisioning::{
    ports::{PortError, PortResult},
    spec::DnsInstance,
};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Limit on what is read of a configuration, in bytes. One with a thousand rules
/// of the tenant has some 100 kB.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// Returns the path of AdGuard Home's configuration.
pub(crate) fn config_path(dns: &DnsInstance) -> PathBuf {
    dns.conf_dir.join("AdGuardHome.yaml")
}

/// Returns the path of AdGuard Home's own copy of a list
/// (`filtering.FilterYAML.Path`).
fn copy_path(dns: &DnsInstance, file_name: &str) -> PathBuf {
    dns.work_dir.join("data/filters").join(file_name)
}

/// Writes what is missing. `render` returns the configuration.
pub(crate) fn write(
    dns: &DnsInstance,
    lists: &Lists,
    render: impl FnOnce() -> String,
) -> PortResult<()> {
    lists.install_starter()?;
    if let ConfigOwner::OtherTenant = config_owner(dns)? {
        move_aside(dns)?;
    }
    for dir in [dns.conf_dir.clone(), dns.work_dir.clone()] {
        create_private_dir(&dir)?;
    }
    if let ConfigOwner::ThisTenant = config_owner(dns)? {
        return Ok(());
    }
    let config = config_path(dns);
    replace_with_dir(&dns.work_dir.join("data"))?;
    replace_with_dir(&dns.work_dir.join("data/filters"))?;
    for list in lists.lists() {
        copy_list(&lists.path(list), &copy_path(dns, &list.file_name()))?;
    }
    write_private_file(&config, render().as_bytes())
}

/// Creates a folder in a place that the container can write to. Removes a
/// symbolic link or file of that name first.
fn replace_with_dir(dir: &Path) -> PortResult<()> {
    match fs::symlink_metadata(dir) {
        Ok(metadata) if !metadata.is_dir() => {
            fs::remove_file(dir).map_err(|e| disk_error(dir, e))?
        }
        _ => {}
    }
    create_private_dir(dir)
}

/// Returns whether a list changed since AdGuard Home last read it. AdGuard Home
/// sets the time of its copy whenever it reads the list.
pub(crate) fn is_stale(dns: &DnsInstance, lists: &Lists) -> bool {
    lists.lists().iter().any(|list| {
        let copied = modified(&copy_path(dns, &list.file_name()));
        modified(&lists.path(list)).is_some_and(|at| copied.is_none_or(|copied| copied < at))
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|m| m.modified()).ok()
}

/// Whose configuration is in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOwner {
    /// There is none, or an empty file, as a power cut leaves it. AdGuard Home
    /// would exit at once with an empty file, every time.
    Absent,
    /// The tenant's. AdGuard Home maintains it.
    ThisTenant,
    /// One without the tenant's password: an earlier tenant of that name left it.
    /// We could not sign in, and the new tenant must not see its query log.
    OtherTenant,
}

/// Returns whose configuration is in the folder.
///
/// # Errors
/// The file cannot be read. It must not be overwritten then: it may be the
/// tenant's.
fn config_owner(dns: &DnsInstance) -> PortResult<ConfigOwner> {
    let path = config_path(dns);
    let read = || -> io::Result<ConfigOwner> {
        // Neither a link nor a pipe, on which a read would block forever.
        if !fs::symlink_metadata(&path)?.is_file() {
            return Ok(ConfigOwner::OtherTenant);
        }
        let mut text = Vec::new();
        fs::File::open(&path)?
            .take(MAX_CONFIG_BYTES)
            .read_to_end(&mut text)?;
        Ok(owner_of(&text, &dns.password_hash))
    };
    match read() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(ConfigOwner::Absent),
        other => other.map_err(|e| disk_error(&path, e)),
    }
}

/// Returns whose configuration a text is, for the tenant whose password has this
/// hash.
pub fn owner_of(text: &[u8], password_hash: &str) -> ConfigOwner {
    let hash = password_hash.as_bytes();
    if text.is_empty() {
        ConfigOwner::Absent
    } else if !hash.is_empty() && text.windows(hash.len()).any(|part| part == hash) {
        ConfigOwner::ThisTenant
    } else {
        ConfigOwner::OtherTenant
    }
}

/// Moves an earlier tenant's data to a folder beside it, which the container
/// cannot see. Replaces data that were moved there before.
fn move_aside(dns: &DnsInstance) -> PortResult<()> {
    let Some(data) = dns.conf_dir.parent() else {
        return Ok(());
    };
    let moved = data.with_extension("before");
    tracing::warn!(folder = %data.display(), "AdGuard Home's data belong to another tenant and are moved aside");
    match fs::remove_dir_all(&moved) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(disk_error(&moved, e)),
        _ => {}
    }
    fs::rename(data, &moved).map_err(|e| disk_error(data, e))
}

/// Copies a list with its modification time, if the list exists. A link would
/// not do, because AdGuard Home sets the time of its copy.
fn copy_list(from: &Path, to: &Path) -> PortResult<()> {
    let mut source = match fs::File::open(from) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|e| disk_error(from, e))?,
    };
    write_private_file(to, b"")?;
    let mut write = || -> io::Result<()> {
        let mut target = fs::OpenOptions::new().write(true).open(to)?;
        io::copy(&mut source, &mut target)?;
        target.set_modified(source.metadata()?.modified()?)
    };
    write().map_err(|e| {
        // A full disk must not leave a part of a list.
        let _ = fs::remove_file(to);
        disk_error(to, e)
    })
}

fn disk_error(path: &Path, e: io::Error) -> PortError {
    hostfs::disk_error(DiskAction::Write, path)(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Secret, Slot};
    use std::{
        net::Ipv4Addr,
        os::unix::fs::{PermissionsExt, symlink},
    };

    fn instance(root: &Path, hash: &str) -> DnsInstance {
        DnsInstance {
            slot: Slot::FIRST,
            address: Ipv4Addr::LOCALHOST,
            subnet: "10.88.1.0/24".parse().unwrap(),
            user: "tenant",
            password: Secret::new("secret"),
            password_hash: hash.to_owned(),
            conf_dir: root.join("adguard_data/conf"),
            work_dir: root.join("adguard_data/work"),
        }
    }

    #[test]
    fn a_configuration_has_no_owner_without_a_hash() {
        assert_eq!(owner_of(b"password: x", ""), ConfigOwner::OtherTenant);
        assert_eq!(owner_of(b"password: x", "x"), ConfigOwner::ThisTenant);
        assert_eq!(owner_of(b"", ""), ConfigOwner::Absent);
    }

    #[test]
    fn only_the_tenants_own_configuration_stays() {
        let root = tempfile::tempdir().unwrap();
        let lists = Lists::new(root.path().join("lists"), vec![]).unwrap();
        let prepare = |hash: &str, text: &str| {
            let dns = instance(root.path(), hash);
            write(&dns, &lists, || text.to_owned()).unwrap();
            fs::read_to_string(config_path(&dns)).unwrap()
        };
        assert_eq!(
            prepare("$2b$04$first", "password: $2b$04$first"),
            "password: $2b$04$first"
        );
        assert_eq!(prepare("$2b$04$first", "again"), "password: $2b$04$first");
        fs::write(config_path(&instance(root.path(), "")), "").unwrap();
        assert_eq!(
            prepare("$2b$04$first", "$2b$04$first, written again"),
            "$2b$04$first, written again"
        );

        fs::write(
            root.path().join("adguard_data/work/querylog.json"),
            "private",
        )
        .unwrap();
        assert_eq!(prepare("$2b$04$second", "$2b$04$second"), "$2b$04$second");
        assert!(!root.path().join("adguard_data/work/querylog.json").exists());
        assert!(
            root.path()
                .join("adguard_data.before/work/querylog.json")
                .exists()
        );
    }

    #[test]
    fn no_link_leads_out_of_the_containers_folders() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("shadow");
        fs::write(&victim, "root:$2b$04$first").unwrap();
        fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let lists = Lists::new(root.path().join("lists"), vec![]).unwrap();
        let dns = instance(root.path(), "$2b$04$first");
        for (link, to) in [
            (config_path(&dns), victim.as_path()),
            (dns.work_dir.join("data"), outside.path()),
            (dns.work_dir.join("data/filters"), outside.path()),
        ] {
            let _ = fs::remove_dir_all(root.path().join("adguard_data"));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            fs::create_dir_all(&dns.conf_dir).unwrap();
            symlink(to, &link).unwrap();
            write(&dns, &lists, || "$2b$04$first, ours".to_owned()).unwrap();
            assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(
                fs::read_to_string(config_path(&dns)).unwrap(),
                "$2b$04$first, ours"
            );
            assert_eq!(fs::read_to_string(&victim).unwrap(), "root:$2b$04$first");
            assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
            let mode = fs::metadata(outside.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755);
        }
    }
}
