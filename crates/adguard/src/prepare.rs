//! What a container's first start needs on the disk: its folders, a copy of
//! each list where AdGuard Home looks for it before it has read any (else the
//! first 5 s are unfiltered), and, last, the configuration. Where that is,
//! everything is.

use crate::lists::Lists;
use domain::ErrorCode;
use provisioning::{
    disk::{private_dir, private_file},
    ports::{PortError, PortResult},
    spec::DnsInstance,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// AdGuard Home's configuration in its folder.
pub(crate) fn config_path(dns: &DnsInstance) -> PathBuf {
    dns.conf_dir.join("AdGuardHome.yaml")
}

/// AdGuard Home's own copy of a list (`filtering.FilterYAML.Path`).
fn copy_path(dns: &DnsInstance, file_name: &str) -> PathBuf {
    dns.work_dir.join("data/filters").join(file_name)
}

/// Writes what is not there; `render` makes the configuration.
pub(crate) fn write(
    dns: &DnsInstance,
    lists: &Lists,
    render: impl FnOnce() -> String,
) -> PortResult<()> {
    lists.install_starter()?;
    for dir in [dns.conf_dir.clone(), dns.work_dir.clone()] {
        private_dir(&dir)?;
    }
    let config = config_path(dns);
    if exists(&config)? {
        return Ok(());
    }
    private_dir(&dns.work_dir.join("data"))?;
    private_dir(&dns.work_dir.join("data/filters"))?;
    for list in lists.lists() {
        copy(&lists.path(list), &copy_path(dns, &list.file_name()))?;
    }
    private_file(&config, render().as_bytes())
}

/// Whether AdGuard Home has not looked at a list since it changed: it sets its
/// copy's time at every look.
pub(crate) fn is_stale(dns: &DnsInstance, lists: &Lists) -> bool {
    lists.lists().iter().any(|list| {
        let copied = modified(&copy_path(dns, &list.file_name()));
        modified(&lists.path(list)).is_some_and(|at| copied.is_none_or(|copied| copied < at))
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|m| m.modified()).ok()
}

/// Whether a file is there; that it cannot be told is an error, because a
/// configuration of AdGuard Home's must not be written over.
fn exists(path: &Path) -> PortResult<bool> {
    path.try_exists().map_err(|e| failed(path, e))
}

/// Copies a list that is there, with its time. A link would not do: AdGuard
/// Home sets the time of its copy.
fn copy(from: &Path, to: &Path) -> PortResult<()> {
    let mut source = match fs::File::open(from) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|e| failed(from, e))?,
    };
    private_file(to, b"")?;
    let mut write = || -> io::Result<()> {
        let mut target = fs::OpenOptions::new().write(true).open(to)?;
        io::copy(&mut source, &mut target)?;
        target.set_modified(source.metadata()?.modified()?)
    };
    write().map_err(|e| {
        // A full disk must not keep a part of a list.
        let _ = fs::remove_file(to);
        failed(to, e)
    })
}

fn failed(path: &Path, e: io::Error) -> PortError {
    PortError::because(
        ErrorCode::DiskUnavailable,
        format!(
            "Writing {} failed: is the disk full or read-only?",
            path.display()
        ),
        e,
    )
}
