//! A tenant's folder below the root: `users/user_<name>/{wg<n>.conf, keys/}`.
//! (`adguard_data/` is written by the DNS filter's port.) Folders are 0700,
//! files 0600, each written whole by rename, so a reader never sees a half.
//!
//! Nothing here is the truth: the spec is, and a file that differs is written
//! again. That is why nothing is flushed to the disk by force. And that is why
//! a file that is the one that was read before is not read again (`seen.rs`):
//! there are three of each tenant, looked at every few seconds.

mod seen;

use crate::{
    Turns,
    observed::{DnsConf, FileStamp, ObservedFolder, content_hash},
    ports::{Folders, PortError, PortResult, tenant_of_folder},
    spec::{NodeSettings, TenantSpec, wg_conf_path},
};
use async_trait::async_trait;
use domain::{ErrorCode, PrivateKey, PublicKey, Slot, TenantName};
use seen::Seen;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Calls on their way to the disk at one time.
const AT_ONCE: usize = 8;

/// Most that is read of a file, bytes: a full `wg<n>.conf` has some 50 kB.
const LONGEST: u64 = 1 << 20;

/// The real side of the port [`Folders`]: the disk, which may be slow, so
/// every call runs where blocking harms nobody, and few at a time.
#[derive(Clone, Debug)]
pub struct Disk {
    settings: Arc<NodeSettings>,
    turns: Turns,
    seen: Arc<Mutex<Seen>>,
}

impl Disk {
    /// The folders below the settings' root. Touches nothing yet.
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            turns: Turns::of(AT_ONCE),
            seen: Arc::default(),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&NodeSettings) -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let settings = self.settings.clone();
        self.turns.run(move || work(&settings)).await
    }
}

#[async_trait]
impl Folders for Disk {
    async fn observe(&self) -> PortResult<BTreeMap<String, ObservedFolder>> {
        let seen = self.seen.clone();
        let look = move |s: &NodeSettings| {
            // Two looks at one time do not happen; one after a panic knows less.
            let before = std::mem::take(&mut *lock(&seen));
            let (folders, now) = observe(s, before)?;
            *lock(&seen) = now;
            Ok(folders)
        };
        self.blocking(look).await
    }

    async fn open(&self, name: &TenantName) -> PortResult<()> {
        let name = name.clone();
        self.blocking(move |s| private_dir(&s.tenant_dir(&name)))
            .await
    }

    async fn write(&self, tenant: &TenantSpec) -> PortResult<()> {
        let tenant = tenant.clone();
        self.blocking(move |s| write(s, &tenant)).await
    }

    async fn remove(&self, folder: &str) -> PortResult<()> {
        let folder = folder.to_owned();
        self.blocking(move |s| remove(s, &folder)).await
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PortError {
    let sentence = format!(
        "{what} {} failed: is the disk full or read-only?",
        path.display()
    );
    move |e| PortError::because(ErrorCode::DiskUnavailable, sentence, e)
}

/// Makes a folder that only we can enter, with the folders above it.
///
/// # Errors
/// `DiskUnavailable`.
pub fn private_dir(path: &Path) -> PortResult<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("Making the folder", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(failed("Closing the folder", path))
}

/// Writes a file that only we can read, whole.
///
/// # Errors
/// `DiskUnavailable`.
pub fn private_file(path: &Path, content: &[u8]) -> PortResult<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    // A new file always: what stands there may be a link to somewhere else.
    let open = || {
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
    };
    let write = || -> io::Result<()> {
        let mut f = match open() {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&beside)?;
                open()?
            }
            other => other?,
        };
        f.set_permissions(fs::Permissions::from_mode(0o600))?;
        f.write_all(content)?;
        fs::rename(&beside, path)
    };
    write().map_err(|e| {
        // What could not be completed must not fill the disk further.
        let _ = fs::remove_file(&beside);
        failed("Writing", path)(e)
    })
}

/// The folders, and what was seen for the next look.
fn observe(
    settings: &NodeSettings,
    mut seen: Seen,
) -> PortResult<(BTreeMap<String, ObservedFolder>, Seen)> {
    let users = settings.users_dir();
    let (mut folders, mut now) = (BTreeMap::new(), Seen::default());
    let entries = match fs::read_dir(&users) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((folders, now)),
        other => other.map_err(failed("Reading", &users))?,
    };
    for entry in entries {
        let entry = entry.map_err(failed("Reading", &users))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_dir && name.starts_with(GONE) {
            // A removal that a crash cut short, or that is under way.
            remove_tree(&entry.path())?;
        } else if is_dir && tenant_of_folder(&name).is_some() {
            match now.folder(&mut seen, &entry.path(), &name) {
                Ok(folder) => drop(folders.insert(name, folder)),
                Err(e) if e.is_not_found() => {}
                // One bad folder hides no other. It differs from every spec, so
                // that writing (or removing) it says what is wrong with it.
                Err(e) => {
                    tracing::warn!(folder = name, cause = ?e.cause, "a tenant's folder cannot be read");
                    folders.insert(name, ObservedFolder::default());
                }
            }
        }
    }
    Ok((folders, now))
}

fn observe_folder(dir: &Path) -> PortResult<ObservedFolder> {
    let mut folder = ObservedFolder {
        owner: owner(dir),
        dns_conf: dns_conf(&dir.join(DNS_CONF)),
        ..ObservedFolder::default()
    };
    for entry in fs::read_dir(dir).map_err(failed("Reading", dir))? {
        let entry = entry.map_err(failed("Reading", dir))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let slot = name.strip_suffix(".conf").and_then(Slot::of_interface);
        if slot.is_some() {
            let content = content(&entry.path()).map_err(failed("Reading", dir))?;
            folder.wg_confs.insert(name, content_hash(&content));
        }
    }
    Ok(folder)
}

/// AdGuard Home's configuration in a tenant's folder.
const DNS_CONF: &str = "adguard_data/conf/AdGuardHome.yaml";

fn dns_conf(file: &Path) -> DnsConf {
    match fs::symlink_metadata(file) {
        Ok(about) => DnsConf::There(FileStamp {
            inode: about.ino(),
            written: i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec()),
            length: about.len(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => DnsConf::Missing,
        Err(_) => DnsConf::Unseen,
    }
}

/// A file's content. Nothing where it is a link, a socket or a pipe (opening
/// one would wait for ever), and the beginning where it is too long: neither is
/// ever as the spec says, so that it is written over.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let kind = fs::symlink_metadata(path)?.file_type();
    let mut content = Vec::new();
    if kind.is_file() {
        fs::File::open(path)?
            .take(LONGEST)
            .read_to_end(&mut content)?;
    } else if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(content)
}

/// Whose folder it is. Nobody's where the keys are not whole, as after a power
/// cut: then it is written again, not taken for another's and removed.
fn owner(dir: &Path) -> Option<String> {
    let read = |name: &str| String::from_utf8(content(&dir.join("keys").join(name)).ok()?).ok();
    PrivateKey::parse(read("private.key")?.trim()).ok()?;
    let public = PublicKey::parse(read("public.key")?.trim()).ok()?;
    Some(public.to_string())
}

fn write(settings: &NodeSettings, t: &TenantSpec) -> PortResult<()> {
    let dir = settings.tenant_dir(&t.name);
    private_dir(&dir)?;
    let keys = dir.join("keys");
    private_dir(&keys)?;
    private_file(&keys.join("private.key"), t.private_key.expose().as_bytes())?;
    private_file(
        &keys.join("public.key"),
        t.private_key.public().to_string().as_bytes(),
    )?;
    let conf = wg_conf_path(&dir, t.slot);
    for stale in observe_folder(&dir)?
        .wg_confs
        .keys()
        .map(|n| dir.join(n))
        .filter(|p| *p != conf)
    {
        fs::remove_file(&stale).map_err(failed("Removing", &stale))?;
    }
    private_file(&conf, t.wg_conf().expose().as_bytes())
}

fn remove(settings: &NodeSettings, folder: &str) -> PortResult<()> {
    if tenant_of_folder(folder).is_none() {
        return Err(PortError::new(
            ErrorCode::Internal,
            format!("{folder:?} is not a tenant's folder"),
        ));
    }
    let dir = settings.users_dir().join(folder);
    let gone = settings.users_dir().join(format!("{GONE}{folder}"));
    remove_tree(&gone)?;
    // Away from its name at once: nobody who signs up with it meanwhile starts
    // in a folder that is being emptied.
    match fs::rename(&dir, &gone) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed("Removing", &dir)(e)),
        Ok(()) => remove_tree(&gone),
    }
}

/// How the name begins that a folder has while it is being removed.
const GONE: &str = ".gone_";

fn remove_tree(dir: &Path) -> PortResult<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("Removing", dir)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(root: &Path) -> NodeSettings {
        NodeSettings {
            addresses: domain::AddressPlan::default(),
            root: root.to_owned(),
            dns_memory_bytes: 0,
            image: "image".to_owned(),
            fallback_dns: std::net::Ipv4Addr::LOCALHOST,
        }
    }

    fn look(root: &Path) -> BTreeMap<String, ObservedFolder> {
        observe(&settings(root), Seen::default()).unwrap().0
    }

    fn folder(root: &Path, name: &str, public: &str) {
        let keys = root.join("users").join(name).join("keys");
        private_dir(&keys).unwrap();
        let private = PrivateKey::from_random([7; 32]);
        private_file(&keys.join("private.key"), private.expose().as_bytes()).unwrap();
        private_file(&keys.join("public.key"), public.as_bytes()).unwrap();
    }

    #[test]
    fn damaged_keys_make_a_folder_nobodys_and_hide_no_other() {
        let root = tempfile::tempdir().unwrap();
        let key = PrivateKey::from_random([7; 32]).public().to_string();
        folder(root.path(), "user_whole", &key);
        folder(root.path(), "user_empty", "");
        folder(root.path(), "user_odd", &key);
        fs::create_dir(root.path().join("users/user_odd/wg1.conf")).unwrap();
        let found = look(root.path());
        assert_eq!(found["user_whole"].owner.as_deref(), Some(key.as_str()));
        assert_eq!(found["user_empty"].owner, None);
        assert_eq!(found["user_odd"], ObservedFolder::default());
    }

    #[test]
    fn a_configuration_that_was_replaced_is_told_from_the_one_before() {
        let root = tempfile::tempdir().unwrap();
        folder(root.path(), "user_abcd", "");
        let conf = root.path().join("users/user_abcd/adguard_data/conf");
        let seen = || look(root.path())["user_abcd"].dns_conf;
        assert_eq!(seen(), DnsConf::Missing);
        private_dir(&conf).unwrap();
        let file = conf.join("AdGuardHome.yaml");
        private_file(&file, b"a: 1").unwrap();
        let first = seen();
        assert!(matches!(first, DnsConf::There(_)) && seen() == first);
        private_file(&file, b"a: 2").unwrap();
        assert!(matches!(seen(), DnsConf::There(_)) && seen() != first);
    }

    #[test]
    fn a_folder_in_another_spelling_is_nobodys_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let kept = ["user_Abcd", "user_ abcd", "user_abcd\t"];
        for name in kept {
            folder(root.path(), name, "");
            assert!(remove(&settings(root.path()), name).is_err(), "{name:?}");
        }
        assert!(look(root.path()).is_empty());
    }

    #[test]
    fn a_removal_that_was_cut_short_is_ended_by_the_next_look() {
        let root = tempfile::tempdir().unwrap();
        folder(root.path(), ".gone_user_abcd", "");
        folder(root.path(), "user_abcd", "");
        assert_eq!(look(root.path()).len(), 1);
        assert!(!root.path().join("users/.gone_user_abcd").exists());
        remove(&settings(root.path()), "user_abcd").unwrap();
        assert!(look(root.path()).is_empty());
        assert_eq!(fs::read_dir(root.path().join("users")).unwrap().count(), 0);
        remove(&settings(root.path()), "user_abcd").unwrap();
        assert!(remove(&settings(root.path()), "../users").is_err());
    }
}
