//! Where AdGuard Home's files are, and how those are read that its container writes.
//! An attacker may control the container, so no link is followed ([`HeldDir`]).
//!
//! `adguard_data/` holds `conf/` and `work/`, which the container mounts and owns, and
//! what only we can enter: `kept/` (copies of the configuration, [`crate::kept`]) and
//! `aside/` (damaged parts, [`crate::aside`]).

use hostfs::{DiskAction, HeldDir};
use provisioning::{ports::PortError, spec::DnsInstance};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Limit on what is read of a configuration, in bytes. One with a thousand rules
/// of the tenant has some 100 kB.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// The most files of AdGuard Home that are handled at once. It has some dozens.
pub(crate) const MAX_ENTRIES: u64 = 100_000;

/// The name of AdGuard Home's configuration in its folder.
pub(crate) const CONFIG: &str = "AdGuardHome.yaml";

/// Returns the path of AdGuard Home's configuration.
pub(crate) fn config_path(dns: &DnsInstance) -> PathBuf {
    dns.conf_dir.join(CONFIG)
}

/// Returns the path of AdGuard Home's own copy of a list
/// (`filtering.FilterYAML.Path`).
pub(crate) fn list_copy_path(dns: &DnsInstance, file_name: &str) -> PathBuf {
    dns.work_dir.join("data/filters").join(file_name)
}

/// Returns a folder beside the configuration's that only we can enter.
pub(crate) fn private_dir(dns: &DnsInstance, name: &str) -> PathBuf {
    dns.conf_dir.parent().unwrap_or(&dns.conf_dir).join(name)
}

/// Reads the configuration; `None` where there is none.
///
/// # Errors
/// It is not a regular file, or it cannot be read.
pub(crate) fn read_config(dns: &DnsInstance) -> io::Result<Option<Vec<u8>>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let file = HeldDir::open(&dns.conf_dir)?.file(CONFIG)?;
        file.take(MAX_CONFIG_BYTES).read_to_end(&mut text)?;
        Ok(text)
    };
    found(read())
}

/// Opens the folder of AdGuard Home's data; `None` where there is none.
///
/// # Errors
/// It is not a folder, or it cannot be read.
pub(crate) fn open_data(dns: &DnsInstance) -> io::Result<Option<HeldDir>> {
    found(HeldDir::open(&dns.work_dir).and_then(|work| work.dir("data")))
}

/// Opens the folder of AdGuard Home's copies of lists; `None` where there is none.
///
/// # Errors
/// As [`open_data`].
pub(crate) fn open_filters(dns: &DnsInstance) -> io::Result<Option<HeldDir>> {
    match open_data(dns)? {
        Some(data) => found(data.dir("filters")),
        None => Ok(None),
    }
}

/// Turns "does not exist" into `None`.
pub(crate) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Returns the error for a path that cannot be changed.
pub(crate) fn disk_error(path: &Path, e: io::Error) -> PortError {
    hostfs::disk_error(DiskAction::Write, path)(e)
}
