//! What was read of tenants' folders, and of which files: where they are still
//! the same ones, they say the same.

use super::{dns_conf, observe_folder};
use crate::{observed::ObservedFolder, ports::PortResult};
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A file that changed this shortly before it was read may change again without
/// its times telling: they are those of the kernel's last tick, or of the file
/// system's coarser clock.
const SETTLES: Duration = Duration::from_secs(2);

/// What was read is believed this long. Files can be changed past the kernel, on
/// a disk that is mounted elsewhere; that must not be overlooked for ever.
const BELIEVED: Duration = Duration::from_secs(600);

/// Tells a file, as it was, from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    length: u64,
    written: (i64, i64),
    /// Nobody but the kernel sets this time.
    changed: (i64, i64),
}

impl Mark {
    /// Of a link itself, not of what it leads to.
    fn of(path: &Path) -> Option<Self> {
        let about: Metadata = fs::symlink_metadata(path).ok()?;
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            length: about.len(),
            written: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }

    /// Whether it had changed long enough before `now`.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (Ok(secs), Ok(nanos)) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1))
        else {
            return false;
        };
        let age = now.duration_since(UNIX_EPOCH + Duration::new(secs, nanos));
        age.is_ok_and(|age| age > SETTLES)
    }
}

#[derive(Debug)]
struct Folder {
    read: Instant,
    /// The folder, the keys, and each `wg<n>.conf`.
    marks: Vec<Mark>,
    found: ObservedFolder,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<String, Folder>);

/// Of a folder and the files in it that are read.
fn marks(dir: &Path, found: &ObservedFolder) -> Option<Vec<Mark>> {
    let keys = ["", "keys/private.key", "keys/public.key"].into_iter();
    let confs = found.wg_confs.keys().map(String::as_str);
    keys.chain(confs)
        .map(|name| Mark::of(&dir.join(name)))
        .collect()
}

impl Seen {
    /// What a folder holds, by what was seen of it before or by reading it.
    ///
    /// # Errors
    /// As reading it.
    pub fn folder(
        &mut self,
        before: &mut Self,
        dir: &Path,
        name: &str,
    ) -> PortResult<ObservedFolder> {
        let before = before.0.remove(name);
        if let Some(mut folder) = before.filter(|f| f.read.elapsed() < BELIEVED)
            && marks(dir, &folder.found).as_ref() == Some(&folder.marks)
        {
            // AdGuard Home's own file is not read, but told by its times.
            folder.found.dns_conf = dns_conf(&dir.join(super::DNS_CONF));
            let found = folder.found.clone();
            self.0.insert(name.to_owned(), folder);
            return Ok(found);
        }
        let now = SystemTime::now();
        // What changes while it is read is not settled, whenever it was marked.
        let found = observe_folder(dir)?;
        let settled = |marks: &Vec<Mark>| marks.iter().all(|mark| mark.is_settled(now));
        if let Some(marks) = marks(dir, &found).filter(settled) {
            let folder = Folder {
                read: Instant::now(),
                marks,
                found: found.clone(),
            };
            self.0.insert(name.to_owned(), folder);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{private_dir, private_file};
    use super::*;
    use crate::observed::content_hash;
    use domain::PrivateKey;

    const NAME: &str = "user_abcd";

    fn made(root: &Path) -> std::path::PathBuf {
        let dir = root.join(NAME);
        private_dir(&dir.join("keys")).unwrap();
        let key = PrivateKey::from_random([7; 32]);
        private_file(&dir.join("keys/private.key"), key.expose().as_bytes()).unwrap();
        let public = key.public().to_string();
        private_file(&dir.join("keys/public.key"), public.as_bytes()).unwrap();
        dir
    }

    fn look(seen: &mut Seen, dir: &Path) -> ObservedFolder {
        let mut before = std::mem::take(seen);
        seen.folder(&mut before, dir, NAME).unwrap()
    }

    #[test]
    fn a_file_that_has_just_changed_is_read_each_time() {
        let root = tempfile::tempdir().unwrap();
        let dir = made(root.path());
        let conf = dir.join("wg1.conf");
        let mut seen = Seen::default();
        // In place and of the same length: where both fall into one tick of
        // the kernel's clock, no time tells.
        for text in ["one", "two"] {
            fs::write(&conf, text).unwrap();
            let found = look(&mut seen, &dir);
            assert_eq!(found.wg_confs["wg1.conf"], content_hash(text.as_bytes()));
            assert!(!seen.0.contains_key(NAME), "it is believed");
        }
    }

    #[test]
    fn a_settled_folder_is_not_read_again_until_something_in_it_changes() {
        let root = tempfile::tempdir().unwrap();
        let dir = made(root.path());
        let conf = dir.join("wg1.conf");
        private_file(&conf, b"one").unwrap();
        let written = fs::metadata(&conf).unwrap().modified().unwrap();
        std::thread::sleep(SETTLES + Duration::from_millis(200));
        let mut seen = Seen::default();
        let first = look(&mut seen, &dir);
        let read = seen.0[NAME].read;
        assert_eq!(look(&mut seen, &dir), first);
        assert_eq!(seen.0[NAME].read, read, "it was read again");
        // By somebody who puts length and time back.
        fs::write(&conf, "two").unwrap();
        let file = fs::File::options().write(true).open(&conf).unwrap();
        file.set_modified(written).unwrap();
        let found = look(&mut seen, &dir);
        assert_eq!(found.wg_confs["wg1.conf"], content_hash(b"two"));
    }

    #[test]
    fn what_comes_or_goes_in_a_settled_folder_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let dir = made(root.path());
        std::thread::sleep(SETTLES + Duration::from_millis(200));
        let mut seen = Seen::default();
        assert!(look(&mut seen, &dir).owner.is_some());
        assert!(seen.0.contains_key(NAME));
        private_file(&dir.join("wg7.conf"), b"x").unwrap();
        assert_eq!(look(&mut seen, &dir).wg_confs.len(), 1);
        std::thread::sleep(SETTLES + Duration::from_millis(200));
        look(&mut seen, &dir);
        private_dir(&dir.join("adguard_data/conf")).unwrap();
        private_file(&dir.join(super::super::DNS_CONF), b"a: 1").unwrap();
        let there = look(&mut seen, &dir).dns_conf;
        assert!(matches!(there, crate::observed::DnsConf::There(_)));
        fs::remove_file(dir.join("keys/public.key")).unwrap();
        assert_eq!(look(&mut seen, &dir).owner, None);
    }
}
