//! Copies of a configuration that AdGuard Home has started with, one for each version
//! of its image: `adguard_data/kept/<image>.yaml`. A damaged configuration is replaced
//! by the copy, and so is one that a newer image has written and an older one cannot
//! read.

use crate::{
    config_owner::{ConfigOwner, owner_of},
    files::{MAX_ENTRIES, disk_error, private_dir, read_config},
    stored_config::{has_login, parse, schema_version},
};
use hostfs::{create_private_dir, write_private_file};
use provisioning::{ports::PortResult, spec::DnsInstance};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// How many copies there are at most; the oldest are removed.
const MAX_COPIES: usize = 3;

/// Returns the path of the copy for the instance's image.
fn path(dns: &DnsInstance) -> PathBuf {
    let plain = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => c,
        _ => '_',
    };
    let image: String = dns.image.chars().map(plain).take(150).collect();
    private_dir(dns, "kept").join(format!("{image}.yaml"))
}

/// Copies the configuration that AdGuard Home runs with, if it can be read and lets us
/// in.
///
/// # Errors
/// `DiskUnavailable`.
pub(crate) fn keep(dns: &DnsInstance) -> PortResult<()> {
    let text = read_config(dns).map_err(|e| disk_error(&dns.conf_dir, e))?;
    // Its user may have been changed while it runs.
    let is_own = |text: &Vec<u8>| {
        let config = parse(text);
        config.is_some_and(|c| has_login(&c, dns.user, &dns.password_hash))
    };
    let Some(text) = text.filter(is_own) else {
        return Ok(());
    };
    let path = path(dns);
    if fs::read(&path).is_ok_and(|copy| copy == text) {
        return Ok(());
    }
    let folder = private_dir(dns, "kept");
    create_private_dir(&folder)?;
    write_private_file(&path, &text)?;
    remove_oldest(&folder).map_err(|e| disk_error(&folder, e))
}

fn remove_oldest(folder: &Path) -> io::Result<()> {
    let mut copies: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)?
        .take(usize::try_from(MAX_ENTRIES).unwrap_or(usize::MAX))
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    copies.sort();
    let extra = copies.len().saturating_sub(MAX_COPIES);
    copies[..extra]
        .iter()
        .try_for_each(|(_, p)| fs::remove_file(p))
}

/// Returns the copy for the instance's image, if it is the tenant's and can be read.
pub(crate) fn copy(dns: &DnsInstance) -> Option<Vec<u8>> {
    let text = fs::read(path(dns)).ok()?;
    let is_own = owner_of(&text, &dns.password_hash) == ConfigOwner::ThisTenant;
    (is_own && parse(&text).is_some()).then_some(text)
}

/// Returns whether there is a copy of the tenant's, for any image: then all data of the
/// instance are the tenant's.
pub(crate) fn has_copy(dns: &DnsInstance) -> bool {
    let entries = fs::read_dir(private_dir(dns, "kept")).into_iter().flatten();
    let mut copies = entries
        .flatten()
        .filter_map(|entry| fs::read(entry.path()).ok());
    copies.any(|text| owner_of(&text, &dns.password_hash) == ConfigOwner::ThisTenant)
}

/// Returns the copy for the instance's image if the image cannot read the present
/// configuration, because a newer one has written it.
pub(crate) fn copy_for_older_image(dns: &DnsInstance, present: &[u8]) -> Option<Vec<u8>> {
    let copy = copy(dns)?;
    let version = |text: &[u8]| parse(text).as_ref().map(schema_version);
    (version(present)? > version(&copy)?).then_some(copy)
}

/// Removes the copy for the instance's image: it did not help. The next successful
/// start makes another.
///
/// # Errors
/// `DiskUnavailable`.
pub(crate) fn forget(dns: &DnsInstance) -> PortResult<()> {
    let path = path(dns);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(disk_error(&path, e)),
        _ => Ok(()),
    }
}
