//! What a container's first start needs on the disk: its folders, a copy of
//! each list where AdGuard Home looks for it before it has read any (else the
//! first 5 s are unfiltered), and, last, the configuration. Where that is,
//! everything is.
//!
//! The container writes to these folders too, and may be in the hands of
//! somebody who broke into it: nothing here follows a link, so that none leads
//! us, who are root, elsewhere. The container does not run meanwhile.

use crate::lists::Lists;
use domain::ErrorCode;
use provisioning::{
    disk::{private_dir, private_file},
    ports::{PortError, PortResult},
    spec::DnsInstance,
};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Most that is read of a configuration, bytes: one with a thousand rules of
/// the tenant's own has some 100 kB.
const LONGEST: u64 = 16 << 20;

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
    if let Stands::Anothers = stands(dns)? {
        set_aside(dns)?;
    }
    for dir in [dns.conf_dir.clone(), dns.work_dir.clone()] {
        private_dir(&dir)?;
    }
    if let Stands::Ours = stands(dns)? {
        return Ok(());
    }
    let config = config_path(dns);
    own_dir(&dns.work_dir.join("data"))?;
    own_dir(&dns.work_dir.join("data/filters"))?;
    for list in lists.lists() {
        copy(&lists.path(list), &copy_path(dns, &list.file_name()))?;
    }
    private_file(&config, render().as_bytes())
}

/// A folder in what the container can write to: a link, or whatever else stands
/// in its place, is taken away first.
fn own_dir(dir: &Path) -> PortResult<()> {
    match fs::symlink_metadata(dir) {
        Ok(about) if !about.is_dir() => fs::remove_file(dir).map_err(|e| failed(dir, e))?,
        _ => {}
    }
    private_dir(dir)
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

/// What configuration there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// None, or an empty file as a power cut leaves it: AdGuard Home would end
    /// at once, for ever.
    Nothing,
    /// The tenant's, and by now AdGuard Home's own.
    Ours,
    /// One without the tenant's password: of an earlier tenant of that name.
    /// Neither could we sign in, nor may anybody see its query log.
    Anothers,
}

/// That it cannot be told is an error: a configuration of AdGuard Home's must
/// not be written over.
fn stands(dns: &DnsInstance) -> PortResult<Stands> {
    let path = config_path(dns);
    let read = || -> io::Result<Stands> {
        // Neither a link, nor a pipe, which would be read for ever.
        if !fs::symlink_metadata(&path)?.is_file() {
            return Ok(Stands::Anothers);
        }
        let mut text = Vec::new();
        fs::File::open(&path)?
            .take(LONGEST)
            .read_to_end(&mut text)?;
        Ok(whose(&text, &dns.password_hash))
    };
    match read() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Stands::Nothing),
        other => other.map_err(|e| failed(&path, e)),
    }
}

/// Whose configuration a text is, for the tenant with this password's hash.
pub fn whose(text: &[u8], password_hash: &str) -> Stands {
    let hash = password_hash.as_bytes();
    if text.is_empty() {
        Stands::Nothing
    } else if !hash.is_empty() && text.windows(hash.len()).any(|part| part == hash) {
        Stands::Ours
    } else {
        Stands::Anothers
    }
}

/// Moves what an earlier tenant left out of what the container is given, and
/// keeps it beside, once.
fn set_aside(dns: &DnsInstance) -> PortResult<()> {
    let Some(data) = dns.conf_dir.parent() else {
        return Ok(());
    };
    let before = data.with_extension("before");
    tracing::warn!(folder = %data.display(), "AdGuard Home's data are another tenant's; they are set aside");
    match fs::remove_dir_all(&before) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&before, e)),
        _ => {}
    }
    fs::rename(data, &before).map_err(|e| failed(data, e))
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
    fn a_configuration_is_nobodys_without_a_hash() {
        assert_eq!(whose(b"password: x", ""), Stands::Anothers);
        assert_eq!(whose(b"password: x", "x"), Stands::Ours);
        assert_eq!(whose(b"", ""), Stands::Nothing);
    }

    #[test]
    fn a_configuration_stays_where_it_is_the_tenants_and_is_made_where_it_is_not() {
        let root = tempfile::tempdir().unwrap();
        let lists = Lists::new(root.path().join("lists"), vec![]).unwrap();
        let make = |hash: &str, text: &str| {
            let dns = instance(root.path(), hash);
            write(&dns, &lists, || text.to_owned()).unwrap();
            fs::read_to_string(config_path(&dns)).unwrap()
        };
        assert_eq!(
            make("$2b$04$first", "password: $2b$04$first"),
            "password: $2b$04$first"
        );
        assert_eq!(make("$2b$04$first", "again"), "password: $2b$04$first");
        fs::write(config_path(&instance(root.path(), "")), "").unwrap();
        assert_eq!(
            make("$2b$04$first", "$2b$04$first, made anew"),
            "$2b$04$first, made anew"
        );

        fs::write(
            root.path().join("adguard_data/work/querylog.json"),
            "private",
        )
        .unwrap();
        assert_eq!(make("$2b$04$second", "$2b$04$second"), "$2b$04$second");
        assert!(!root.path().join("adguard_data/work/querylog.json").exists());
        assert!(
            root.path()
                .join("adguard_data.before/work/querylog.json")
                .exists()
        );
    }

    #[test]
    fn no_link_of_the_containers_leads_out_of_its_folders() {
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
