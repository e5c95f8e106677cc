//! Frees what an instance takes of the disk without need: lists that AdGuard Home
//! leaves behind (`<id>.txt.old`, `filtering/http.go`), and the oldest of its query log.

use crate::{
    files::{MAX_ENTRIES, disk_error, open_data, open_filters, read_config},
    stored_config::{list_files, parse},
};
use provisioning::{ports::PortResult, spec::DnsInstance};
use std::io;

/// The part of the query log that was written longer ago (`querylog/querylogfile.go`).
const OLDER_LOG: &str = "querylog.json.1";
/// The part of the query log that is being written.
const LOG: &str = "querylog.json";

/// Removes lists that were removed from the configuration. While the instance runs
/// (`stopped` is false), only those that AdGuard Home itself has put away: it may be
/// downloading a new one. Returns whether there were any.
///
/// # Errors
/// `DiskUnavailable`.
pub(crate) fn remove_old_lists(dns: &DnsInstance, stopped: bool) -> PortResult<bool> {
    let remove = || -> io::Result<bool> {
        let Some(filters) = open_filters(dns)? else {
            return Ok(false);
        };
        let config = match stopped {
            true => read_config(dns)?.as_deref().and_then(parse),
            false => None,
        };
        let configured = config.as_ref().map(list_files);
        let mut removed = false;
        for entry in filters.entries(MAX_ENTRIES)? {
            let Some(name) = entry.name().filter(|_| !entry.is_dir) else {
                continue;
            };
            let is_unused = configured.as_ref().is_some_and(|c| !c.contains(name));
            if name.ends_with(".old") || is_unused {
                removed |= filters.remove(name)?;
            }
        }
        Ok(removed)
    };
    remove().map_err(|e| disk_error(&dns.work_dir, e))
}

/// Removes the part of the query log that was written longer ago. AdGuard Home opens
/// it only to search in it. Returns whether it existed.
///
/// # Errors
/// `DiskUnavailable`.
pub(crate) fn remove_older_log(dns: &DnsInstance) -> PortResult<bool> {
    remove_from_data(dns, OLDER_LOG)
}

/// Removes the query log of an instance that does not run. Returns whether it existed.
///
/// # Errors
/// `DiskUnavailable`.
pub(crate) fn remove_log(dns: &DnsInstance) -> PortResult<bool> {
    remove_from_data(dns, LOG)
}

/// Returns whether there is a query log on the disk that is being written.
pub(crate) fn has_log(dns: &DnsInstance) -> bool {
    let data = open_data(dns).ok().flatten();
    data.is_some_and(|data| data.file(LOG).is_ok())
}

fn remove_from_data(dns: &DnsInstance, name: &str) -> PortResult<bool> {
    let remove = || match open_data(dns)? {
        Some(data) => data.remove(name),
        None => Ok(false),
    };
    remove().map_err(|e| disk_error(&dns.work_dir, e))
}
