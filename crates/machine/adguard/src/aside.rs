//! Moves a damaged part of a stopped instance's data out of the way, to
//! `adguard_data/aside/<part>/`, which the container does not see. Of each part only
//! what was moved last is there, so it takes as much of the disk as the part did.

use crate::{
    AdGuardSettings,
    files::{
        CONFIG, MAX_ENTRIES, config_path, disk_error, found, open_data, open_filters, private_dir,
        read_config,
    },
    kept,
    lists::Lists,
    stored_config::{parse, remove_own_lists, render},
};
use hostfs::{HeldDir, create_private_dir, write_file_for, write_private_file};
use provisioning::{
    ports::{DnsPart, PortResult},
    spec::DnsInstance,
};
use std::{fs, io, path::PathBuf};

/// Returns the name of a part's folder below `aside/`.
const fn folder_name(part: DnsPart) -> &'static str {
    match part {
        DnsPart::Statistics => "statistics",
        DnsPart::QueryLog => "querylog",
        DnsPart::Lists => "lists",
        DnsPart::Config => "config",
    }
}

/// Moves a part aside. Returns whether there was anything to move.
///
/// # Errors
/// `DiskUnavailable`.
pub(crate) fn set_aside(
    settings: &AdGuardSettings,
    lists: &Lists,
    dns: &DnsInstance,
    part: DnsPart,
) -> PortResult<bool> {
    let aside = Aside {
        dns,
        folder: private_dir(dns, "aside").join(folder_name(part)),
    };
    match part {
        DnsPart::Statistics => aside.move_data(|name| matches!(name, "stats.db" | "sessions.db")),
        DnsPart::QueryLog => aside.move_data(|name| name.starts_with("querylog.json")),
        DnsPart::Lists => aside.move_lists(settings, lists),
        DnsPart::Config => aside.move_config(),
    }
}

/// Removes what was set aside, but for configurations, which are small and hold the
/// addresses of lists. Returns whether there was anything to remove.
///
/// # Errors
/// `DiskUnavailable`.
pub(crate) fn remove_bulk(dns: &DnsInstance) -> PortResult<bool> {
    let aside = private_dir(dns, "aside");
    let remove = || -> io::Result<bool> {
        let mut removed = false;
        for part in [DnsPart::Statistics, DnsPart::QueryLog, DnsPart::Lists] {
            let entries = found(fs::read_dir(aside.join(folder_name(part))))?;
            for entry in entries.into_iter().flatten() {
                let entry = entry?;
                if entry.file_name() == CONFIG {
                    continue;
                }
                match entry.file_type()?.is_dir() {
                    true => fs::remove_dir_all(entry.path())?,
                    false => fs::remove_file(entry.path())?,
                }
                removed = true;
            }
        }
        Ok(removed)
    };
    remove().map_err(|e| disk_error(&aside, e))
}

struct Aside<'a> {
    dns: &'a DnsInstance,
    folder: PathBuf,
}

impl Aside<'_> {
    fn error(&self, e: io::Error) -> provisioning::ports::PortError {
        disk_error(&self.folder, e)
    }

    /// Moves everything with such a name from a folder into the empty folder of the
    /// part.
    fn move_all(&self, from: Option<HeldDir>, is_part: impl Fn(&str) -> bool) -> PortResult<bool> {
        let Some(from) = from else {
            return Ok(false);
        };
        let entries = from.entries(MAX_ENTRIES).map_err(|e| self.error(e))?;
        let names: Vec<_> = entries
            .iter()
            .filter_map(|e| e.name().filter(|n| is_part(n)))
            .collect();
        if names.is_empty() {
            return Ok(false);
        }
        let to = self.empty_folder()?;
        for name in names {
            from.move_to(name, &to).map_err(|e| self.error(e))?;
        }
        Ok(true)
    }

    fn empty_folder(&self) -> PortResult<HeldDir> {
        found(fs::remove_dir_all(&self.folder)).map_err(|e| self.error(e))?;
        create_private_dir(&self.folder)?;
        HeldDir::open(&self.folder).map_err(|e| self.error(e))
    }

    fn move_data(&self, is_part: impl Fn(&str) -> bool) -> PortResult<bool> {
        let data = open_data(self.dns).map_err(|e| self.error(e))?;
        self.move_all(data, is_part)
    }

    /// Moves the copies of the tenant's own lists, and takes the lists out of the
    /// configuration.
    fn move_lists(&self, settings: &AdGuardSettings, lists: &Lists) -> PortResult<bool> {
        let ours: Vec<String> = lists.shared().iter().map(|l| l.file_name()).collect();
        let filters = open_filters(self.dns).map_err(|e| self.error(e))?;
        let moved = self.move_all(filters, |name| !ours.iter().any(|o| o == name))?;
        let text = read_config(self.dns).map_err(|e| self.error(e))?;
        let Some((text, mut config)) = text.and_then(|t| parse(&t).map(|config| (t, config)))
        else {
            return Ok(moved);
        };
        if !remove_own_lists(&mut config, lists.shared(), &settings.lists_mount) {
            return Ok(moved);
        }
        // The addresses of the lists are in this copy.
        create_private_dir(&self.folder)?;
        write_private_file(&self.folder.join(CONFIG), &text)?;
        let config = render(&config);
        write_file_for(
            &config_path(self.dns),
            config.as_bytes(),
            self.dns.file_owner(),
        )?;
        Ok(true)
    }

    /// Moves the configuration, and puts the copy of the last good start in its place,
    /// if there is one that differs. The copy is used up: if it does not help either,
    /// the next call leaves nothing, and a new configuration is rendered.
    fn move_config(&self) -> PortResult<bool> {
        let conf = found(HeldDir::open(&self.dns.conf_dir)).map_err(|e| self.error(e))?;
        let present = read_config(self.dns).ok().flatten();
        let moved = self.move_all(conf, |name| name == CONFIG)?;
        let copy = kept::copy(self.dns).filter(|copy| present.as_ref() != Some(copy));
        kept::forget(self.dns)?;
        if let Some(copy) = copy {
            write_file_for(&config_path(self.dns), &copy, self.dns.file_owner())?;
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Secret, Slot};
    use std::{os::unix::fs::symlink, path::Path};

    fn instance(root: &Path) -> DnsInstance {
        DnsInstance {
            slot: Slot::FIRST,
            address: std::net::Ipv4Addr::LOCALHOST,
            subnet: "10.88.1.0/24".parse().unwrap(),
            subnet6: None,
            domain: "alice.internal".into(),
            user: "tenant",
            password: Secret::new("secret"),
            password_hash: "$2b$04$first".to_owned(),
            conf_dir: root.join("adguard_data/conf"),
            work_dir: root.join("adguard_data/work"),
            image: "adguard/adguardhome:v0.107.79".into(),
        }
    }

    #[test]
    fn planted_links_lead_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let (settings, dns) = (AdGuardSettings::default(), instance(root.path()));
        let lists = Lists::new(root.path().join("lists"), vec![]).unwrap();
        let files = [
            "stats.db",
            "querylog.json",
            "querylog.json.1",
            "filters",
            CONFIG,
        ];
        for file in files {
            fs::write(outside.path().join(file), "theirs: $2b$04$first").unwrap();
        }
        for dir in [&dns.conf_dir, &dns.work_dir] {
            fs::create_dir_all(dir).unwrap();
        }
        let all = [
            DnsPart::Statistics,
            DnsPart::QueryLog,
            DnsPart::Lists,
            DnsPart::Config,
        ];
        let unchanged = || {
            for file in files {
                let text = fs::read_to_string(outside.path().join(file)).unwrap();
                assert_eq!(text, "theirs: $2b$04$first", "{file}");
            }
            assert_eq!(fs::read_dir(outside.path()).unwrap().count(), files.len());
        };
        // The folder itself is a link, then each file in it.
        symlink(outside.path(), dns.work_dir.join("data")).unwrap();
        symlink(outside.path().join(CONFIG), config_path(&dns)).unwrap();
        for part in all {
            let _ = set_aside(&settings, &lists, &dns, part);
            let _ = crate::leftovers::remove_older_log(&dns);
            let _ = crate::leftovers::remove_old_lists(&dns, true);
            let _ = kept::keep(&dns);
            unchanged();
        }
        assert!(!root.path().join("adguard_data/kept").exists());
        fs::remove_file(dns.work_dir.join("data")).unwrap();
        fs::create_dir(dns.work_dir.join("data")).unwrap();
        for file in files {
            symlink(
                outside.path().join(file),
                dns.work_dir.join("data").join(file),
            )
            .unwrap();
        }
        for part in all {
            let _ = set_aside(&settings, &lists, &dns, part);
            unchanged();
        }
        let moved = root.path().join("adguard_data/aside/statistics/stats.db");
        assert!(moved.is_symlink(), "the link itself is moved");
    }
}
