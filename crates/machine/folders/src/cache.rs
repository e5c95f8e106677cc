//! Caches what tenants' folders hold. Where the files still have the same
//! fingerprints, they are not read again.

use crate::contents::{DNS_CONF, dns_conf, read_folder};
use provisioning::{observed::ObservedFolder, ports::PortResult};
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A file that changed less than this before it was read may change again
/// without a visible change of its times: they have the resolution of the
/// kernel's tick, or of the file system's coarser clock.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// How long an entry is valid. Files can be changed behind the kernel's back, on
/// a disk that is also mounted elsewhere; such a change must be noticed some time.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Distinguishes a version of a file from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileFingerprint {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    /// Only the kernel sets this time.
    changed: (i64, i64),
}

impl FileFingerprint {
    /// Reads the fingerprint of a path. A link's is its own, not its target's.
    fn read(path: &Path) -> Option<Self> {
        let metadata: Metadata = fs::symlink_metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Returns whether the last change was long enough before `now`.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (Ok(secs), Ok(nanos)) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1))
        else {
            return false;
        };
        let age = now.duration_since(UNIX_EPOCH + Duration::new(secs, nanos));
        age.is_ok_and(|age| age > SETTLE_TIME)
    }
}

#[derive(Debug)]
struct CachedFolder {
    read_at: Instant,
    /// Of the folder, the keys, and each `wg<n>.conf`.
    fingerprints: Vec<FileFingerprint>,
    content: ObservedFolder,
}

/// The folders that were read, by name, with the fingerprints of their files.
#[derive(Debug, Default)]
pub(crate) struct FolderCache(BTreeMap<String, CachedFolder>);

/// Returns the fingerprints of a folder and of the files in it that are read. Where the
/// private key is no file, the fingerprint of `keys` shows that one was made.
fn fingerprints(
    dir: &Path,
    content: &ObservedFolder,
    key_files: bool,
) -> Option<Vec<FileFingerprint>> {
    let private = if key_files {
        "keys/private.key"
    } else {
        "keys"
    };
    let keys = ["", private, "keys/public.key"].into_iter();
    let confs = content.wg_confs.keys().map(String::as_str);
    keys.chain(confs)
        .map(|name| FileFingerprint::read(&dir.join(name)))
        .collect()
}

impl FolderCache {
    /// Returns what a folder holds, from the cache `before` or from the disk,
    /// and adds it to this cache.
    ///
    /// # Errors
    /// As [`read_folder`].
    pub(crate) fn folder(
        &mut self,
        before: &mut Self,
        dir: &Path,
        name: &str,
        key_files: bool,
    ) -> PortResult<ObservedFolder> {
        let cached = before.0.remove(name);
        if let Some(mut folder) = cached.filter(|f| f.read_at.elapsed() < MAX_AGE)
            && fingerprints(dir, &folder.content, key_files).as_ref() == Some(&folder.fingerprints)
        {
            // AdGuard Home's own file is never read; its metadata is enough.
            folder.content.dns_conf = dns_conf(&dir.join(DNS_CONF));
            let content = folder.content.clone();
            self.0.insert(name.to_owned(), folder);
            return Ok(content);
        }
        // Taken before reading: a file that changes while it is read is then not
        // settled, whenever its fingerprint is taken.
        let now = SystemTime::now();
        let content = read_folder(dir, key_files)?;
        let settled = |all: &Vec<FileFingerprint>| all.iter().all(|f| f.is_settled(now));
        if let Some(fingerprints) = fingerprints(dir, &content, key_files).filter(settled) {
            let folder = CachedFolder {
                read_at: Instant::now(),
                fingerprints,
                content: content.clone(),
            };
            self.0.insert(name.to_owned(), folder);
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PrivateKey;
    use hostfs::{create_private_dir, write_private_file};
    use provisioning::{hash::content_hash, observed::DnsConf};

    const NAME: &str = "user_abcd";

    fn make_folder(root: &Path) -> std::path::PathBuf {
        let dir = root.join(NAME);
        create_private_dir(&dir.join("keys")).unwrap();
        let key = PrivateKey::from_random([7; 32]);
        write_private_file(&dir.join("keys/private.key"), key.expose().as_bytes()).unwrap();
        let public = key.public().to_string();
        write_private_file(&dir.join("keys/public.key"), public.as_bytes()).unwrap();
        dir
    }

    fn read(cache: &mut FolderCache, dir: &Path) -> ObservedFolder {
        let mut before = std::mem::take(cache);
        cache.folder(&mut before, dir, NAME, true).unwrap()
    }

    #[test]
    fn a_file_that_changed_just_now_is_not_cached() {
        let root = tempfile::tempdir().unwrap();
        let dir = make_folder(root.path());
        let conf = dir.join("wg1.conf");
        let mut cache = FolderCache::default();
        // In place and of the same length: where both writes fall into one tick
        // of the kernel's clock, the file's times are equal.
        for text in ["one", "two"] {
            fs::write(&conf, text).unwrap();
            let found = read(&mut cache, &dir);
            assert_eq!(found.wg_confs["wg1.conf"], content_hash(text.as_bytes()));
            assert!(!cache.0.contains_key(NAME), "the folder was cached");
        }
    }

    #[test]
    fn a_settled_folder_is_read_again_after_a_change() {
        let root = tempfile::tempdir().unwrap();
        let dir = make_folder(root.path());
        let conf = dir.join("wg1.conf");
        write_private_file(&conf, b"one").unwrap();
        let modified = fs::metadata(&conf).unwrap().modified().unwrap();
        std::thread::sleep(SETTLE_TIME + Duration::from_millis(200));
        let mut cache = FolderCache::default();
        let first = read(&mut cache, &dir);
        let read_at = cache.0[NAME].read_at;
        assert_eq!(read(&mut cache, &dir), first);
        assert_eq!(cache.0[NAME].read_at, read_at, "the folder was read again");
        // The change restores the length and the modification time.
        fs::write(&conf, "two").unwrap();
        let file = fs::File::options().write(true).open(&conf).unwrap();
        file.set_modified(modified).unwrap();
        let found = read(&mut cache, &dir);
        assert_eq!(found.wg_confs["wg1.conf"], content_hash(b"two"));
    }

    #[test]
    fn added_and_removed_files_of_a_settled_folder_are_noticed() {
        let root = tempfile::tempdir().unwrap();
        let dir = make_folder(root.path());
        std::thread::sleep(SETTLE_TIME + Duration::from_millis(200));
        let mut cache = FolderCache::default();
        assert!(read(&mut cache, &dir).owner.is_some());
        assert!(cache.0.contains_key(NAME));
        write_private_file(&dir.join("wg7.conf"), b"x").unwrap();
        assert_eq!(read(&mut cache, &dir).wg_confs.len(), 1);
        std::thread::sleep(SETTLE_TIME + Duration::from_millis(200));
        read(&mut cache, &dir);
        create_private_dir(&dir.join("adguard_data/conf")).unwrap();
        write_private_file(&dir.join(DNS_CONF), b"a: 1").unwrap();
        let dns_conf = read(&mut cache, &dir).dns_conf;
        assert!(matches!(dns_conf, DnsConf::Present(_)));
        fs::remove_file(dir.join("keys/public.key")).unwrap();
        assert_eq!(read(&mut cache, &dir).owner, None);
    }
}
