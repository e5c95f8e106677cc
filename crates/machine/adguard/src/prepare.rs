//! Makes a container's files ready for a start: its folders, a copy of each block list
//! at AdGuard Home's own path, and the configuration. Without the copies, the first 5 s
//! would be unfiltered. The configuration is written last, so if it exists, everything
//! else does. An existing one stays, but for what bounds the load ([`stored_config`]), and
//! for its user, by which we sign in.
//!
//! The container writes to these folders too, and an attacker may control it.
//! So nothing here follows a symbolic link: this process is root, and a link
//! could lead it to any file. The container does not run meanwhile.

use crate::{
    config_owner::{ConfigOwner, owner_of},
    files::{
        MAX_ENTRIES, config_path, disk_error, found, list_copy_path, open_filters, read_config,
    },
    kept, leftovers,
    lists::Lists,
    stored_config,
};
use hostfs::{HeldDir, create_private_dir, write_file_for};
use provisioning::{ports::PortResult, spec::DnsInstance};
use std::{fs, io, path::Path, time::SystemTime};

/// Writes what is missing, and gives the files to the container's user. `render`
/// returns the configuration.
pub(crate) fn write(
    dns: &DnsInstance,
    lists: &Lists,
    render: impl FnOnce() -> String,
) -> PortResult<()> {
    lists.install_starter()?;
    if let ConfigOwner::OtherTenant = config_owner(dns)? {
        move_aside(dns)?;
    }
    for dir in [
        dns.conf_dir.parent(),
        Some(&dns.conf_dir),
        Some(&dns.work_dir),
    ] {
        dir.map_or(Ok(()), create_private_dir)?;
    }
    if let ConfigOwner::ThisTenant = config_owner(dns)? {
        refresh(dns)?;
    } else {
        replace_with_dir(&dns.work_dir.join("data"))?;
        replace_with_dir(&dns.work_dir.join("data/filters"))?;
        for list in lists.shared() {
            let copy = list_copy_path(dns, &list.file_name());
            copy_list(&lists.path(list), &copy, dns.file_owner())?;
        }
        // An empty file, as a power cut leaves it, loses no settings.
        let text = kept::copy(dns).unwrap_or_else(|| render().into_bytes());
        write_file_for(&config_path(dns), &text, dns.file_owner())?;
    }
    give_files(dns)
}

/// Brings an existing configuration to what this image can read, bounds the load that
/// it permits, corrects its user, and removes lists that it no longer names.
fn refresh(dns: &DnsInstance) -> PortResult<()> {
    let path = config_path(dns);
    let present = read_config(dns).map_err(|e| disk_error(&path, e))?;
    let Some(mut text) = present else {
        return Ok(());
    };
    let older = kept::copy_for_older_image(dns, &text);
    let is_older = older.is_some();
    if let Some(older) = older {
        tracing::warn!(slot = %dns.slot, image = %dns.image, "a newer AdGuard Home wrote the configuration; this image's own takes its place");
        text = older;
    }
    // One that cannot be read stays: AdGuard Home will say so, and it is set aside.
    let Some(mut config) = stored_config::parse(&text) else {
        return Ok(());
    };
    let is_corrected = stored_config::set_login(&mut config, dns.user, &dns.password_hash);
    if is_corrected {
        tracing::warn!(slot = %dns.slot, "AdGuard Home's user was changed in its configuration and is corrected");
    }
    if stored_config::enforce(&mut config) || is_corrected {
        let text = stored_config::render(&config);
        write_file_for(&path, text.as_bytes(), dns.file_owner())?;
    } else if is_older {
        write_file_for(&path, &text, dns.file_owner())?;
    }
    leftovers::remove_old_lists(dns, true).map(drop)
}

/// Gives everything in the container's folders to its user: what an older version of
/// ours, or a container of root's, left there.
fn give_files(dns: &DnsInstance) -> PortResult<()> {
    let give = |dir: io::Result<Option<HeldDir>>| match dir? {
        Some(dir) => dir.give_to(dns.file_owner(), MAX_ENTRIES),
        None => Ok(()),
    };
    let work = || found(HeldDir::open(&dns.work_dir));
    let data = || found(HeldDir::open(&dns.work_dir).and_then(|work| work.dir("data")));
    // Inner folders first: a folder that has its owner already is not searched.
    let given = give(open_filters(dns))
        .and_then(|()| give(data()))
        .and_then(|()| give(work()))
        .and_then(|()| give(found(HeldDir::open(&dns.conf_dir))));
    given.map_err(|e| disk_error(&dns.work_dir, e))
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
    let filters = open_filters(dns).ok().flatten();
    let copied = |name: &str| {
        let file = filters.as_ref()?.file(name).ok()?;
        file.metadata().and_then(|m| m.modified()).ok()
    };
    lists.shared().iter().any(|list| {
        let copied = copied(&list.file_name());
        modified(&lists.path(list)).is_some_and(|at| copied.is_none_or(|copied| copied < at))
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|m| m.modified()).ok()
}

/// Returns whose configuration is in the folder.
///
/// # Errors
/// The file cannot be read. It must not be overwritten then: it may be the
/// tenant's.
fn config_owner(dns: &DnsInstance) -> PortResult<ConfigOwner> {
    match read_config(dns) {
        Ok(None) => Ok(ConfigOwner::Absent),
        Ok(Some(text)) => Ok(match owner_of(&text, &dns.password_hash) {
            // A damaged one need not have the password any more, nor one that was edited.
            // The copies beside it, which the container cannot change, still say whose
            // it is.
            ConfigOwner::OtherTenant if kept::has_copy(dns) => ConfigOwner::ThisTenant,
            owner => owner,
        }),
        // A link, a pipe, a folder.
        Err(_) if !is_file(&config_path(dns)) => Ok(ConfigOwner::OtherTenant),
        Err(e) => Err(disk_error(&config_path(dns), e)),
    }
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.is_file())
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
fn copy_list(from: &Path, to: &Path, user: u32) -> PortResult<()> {
    let mut source = match fs::File::open(from) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|e| disk_error(from, e))?,
    };
    write_file_for(to, b"", user)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::List;
    use domain::{Secret, Slot};
    use std::{
        net::Ipv4Addr,
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    };

    fn instance(root: &Path, hash: &str) -> DnsInstance {
        DnsInstance {
            slot: Slot::FIRST,
            address: Ipv4Addr::LOCALHOST,
            subnet: "10.88.1.0/24".parse().unwrap(),
            subnet6: None,
            domain: "alice.internal".into(),
            user: "tenant",
            password: Secret::new("secret"),
            password_hash: hash.to_owned(),
            conf_dir: root.join("adguard_data/conf"),
            work_dir: root.join("adguard_data/work"),
            image: "adguard/adguardhome:v0.107.79".into(),
        }
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
        let stored = prepare("$2b$04$first", "again");
        assert!(
            stored.contains("\"password\": \"$2b$04$first\""),
            "{stored}"
        );
        assert!(stored.contains("\"ratelimit\": 200"), "{stored}");
        assert_eq!(prepare("$2b$04$first", "again"), stored);
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
    fn a_damaged_configuration_is_no_other_tenants() {
        let root = tempfile::tempdir().unwrap();
        let lists = Lists::new(root.path().join("lists"), vec![]).unwrap();
        let dns = instance(root.path(), "$2b$04$first");
        let prepare = || {
            write(&dns, &lists, || "password: $2b$04$first".to_owned()).unwrap();
            fs::read_to_string(config_path(&dns)).unwrap()
        };
        let log = dns.work_dir.join("querylog.json");
        prepare();
        fs::write(config_path(&dns), "password: $2b$04$first\nmine: yes").unwrap();
        let stored = prepare();
        assert!(stored.contains("mine"), "{stored}");
        kept::keep(&dns).unwrap();
        fs::write(&log, "private").unwrap();
        // AdGuard Home will not start with it, and then it is set aside.
        fs::write(config_path(&dns), "dns: [ }{").unwrap();
        assert_eq!(prepare(), "dns: [ }{");
        assert!(log.exists());
        // A power cut leaves an empty file.
        fs::write(config_path(&dns), "").unwrap();
        assert_eq!(prepare(), stored);
        assert!(log.exists());
        // The copy is not the next tenant's.
        fs::write(config_path(&dns), "dns: [ }{").unwrap();
        let next = instance(root.path(), "$2b$04$second");
        write(&next, &lists, || "$2b$04$second".to_owned()).unwrap();
        let text = fs::read_to_string(config_path(&next)).unwrap();
        assert_eq!(text, "$2b$04$second");
        assert!(!log.exists());
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

    #[test]
    fn an_older_installation_is_given_to_the_containers_user() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("shadow");
        fs::write(&victim, "root:x").unwrap();
        let lists = Lists::new(root.path().join("lists"), List::defaults()).unwrap();
        let dns = instance(root.path(), "$2b$04$first");
        let filters = dns.work_dir.join("data/filters");
        for dir in [&dns.conf_dir, &filters] {
            fs::create_dir_all(dir).unwrap();
        }
        fs::write(config_path(&dns), "password: $2b$04$first").unwrap();
        fs::write(dns.work_dir.join("data/stats.db"), "x").unwrap();
        fs::write(filters.join("1763000000.txt.old"), "x").unwrap();
        symlink(&victim, dns.work_dir.join("data/file")).unwrap();
        symlink(outside.path(), filters.join("dir")).unwrap();
        write(&dns, &lists, String::new).unwrap();
        let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        let user = dns.file_owner();
        let data = dns.work_dir.join("data");
        for path in [
            &dns.conf_dir,
            &config_path(&dns),
            &dns.work_dir,
            &data,
            &filters,
        ] {
            assert_eq!(owner(path), user, "{}", path.display());
        }
        for name in ["stats.db", "file"] {
            assert_eq!(owner(&data.join(name)), user, "{name}");
        }
        assert!(!filters.join("1763000000.txt.old").exists());
        assert_eq!((owner(outside.path()), owner(&victim)), (0, 0));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "root:x");
        // Everything above stays root's.
        let above = dns.conf_dir.parent().unwrap();
        assert_eq!(owner(above), 0);
        let mode = fs::metadata(above).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        // Containers read the lists, each as its own user.
        let list = lists.path(&lists.shared()[0]);
        assert_eq!(
            fs::metadata(&list).unwrap().permissions().mode() & 0o777,
            0o644
        );
        let folder = fs::metadata(list.parent().unwrap()).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o755);
    }
}
