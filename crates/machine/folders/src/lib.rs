//! The real side of the port [`Folders`]: a tenant's folder below the root,
//! `users/user_<name>/{wg<n>.conf, keys/}`. (`adguard_data/` in it is written
//! by the DNS filter's port.)
//!
//! The spec is the truth, not the disk: a file that differs is written again.
//! So nothing is flushed to the disk by force, and a file with an unchanged
//! fingerprint is not read again ([`cache`]): each tenant has three of them,
//! and they are observed every few seconds.

mod cache;
mod contents;
mod copy;

pub use contents::MAX_ENTRIES;
pub use copy::Reception;

use async_trait::async_trait;
use cache::FolderCache;
use contents::{is_not_found, read_folder};
use copy::Copies;
use domain::{ErrorCode, Message, TenantName};
use hostfs::{
    BlockingPool, DiskAction, DiskUsage, HeldDir, create_private_dir, disk_error,
    write_private_file,
};
use protocol::TenantSpec;
use provisioning::{
    TenantSpecExt,
    observed::ObservedFolder,
    ports::{Folders, PortError, PortResult, tenant_of_folder},
    spec::{NodeSettings, wg_conf_path},
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// How many calls may use the disk at the same time.
const CONCURRENT_CALLS: usize = 8;

/// Tenants' folders on a disk. A disk may be slow, so every call runs on a
/// blocking thread, and only a few run at the same time.
#[derive(Clone, Debug)]
pub struct DiskFolders {
    settings: Arc<NodeSettings>,
    pool: BlockingPool,
    cache: Arc<Mutex<FolderCache>>,
    copies: Arc<Copies>,
}

impl DiskFolders {
    /// Creates the port for the folders below the settings' root. Does not
    /// touch the disk yet.
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            pool: BlockingPool::new(CONCURRENT_CALLS),
            cache: Arc::default(),
            copies: Arc::default(),
        }
    }

    /// Measures what AdGuard Home's files of each tenant take of the disk:
    /// `adguard_data/`, with what was set aside there. Counts allocated blocks, follows
    /// no link, and stops at [`MAX_ENTRIES`] files of a tenant. A tenant whose files
    /// cannot be read is left out.
    ///
    /// # Errors
    /// `DiskUnavailable` where the folder of all tenants cannot be read.
    pub async fn usage(&self) -> PortResult<BTreeMap<TenantName, DiskUsage>> {
        self.blocking(usage).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&NodeSettings) -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let settings = self.settings.clone();
        self.pool.run(move || work(&settings)).await
    }
}

#[async_trait]
impl Folders for DiskFolders {
    async fn observe(&self) -> PortResult<BTreeMap<String, ObservedFolder>> {
        let cache = self.cache.clone();
        let read = move |s: &NodeSettings| {
            // Two observations never run at the same time. After a failed one the
            // cache is empty, so the next one reads every file.
            let before = std::mem::take(&mut *lock(&cache));
            let (folders, now) = observe(s, before)?;
            *lock(&cache) = now;
            Ok(folders)
        };
        self.blocking(read).await
    }

    async fn open(&self, name: &TenantName) -> PortResult<()> {
        let name = name.clone();
        self.blocking(move |s| create_private_dir(&s.tenant_dir(&name)))
            .await
    }

    async fn write(&self, tenant: &TenantSpec) -> PortResult<()> {
        let tenant = tenant.clone();
        self.blocking(move |s| write(s, &tenant)).await
    }

    async fn adopt(&self, tenant: &TenantSpec) -> PortResult<()> {
        let tenant = tenant.clone();
        self.blocking(move |s| copy::adopt(s, &tenant)).await
    }

    async fn remove(&self, folder: &str) -> PortResult<()> {
        let folder = folder.to_owned();
        self.blocking(move |s| remove(s, &folder)).await
    }
}

fn lock(cache: &Mutex<FolderCache>) -> MutexGuard<'_, FolderCache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the tenants' folders, and the cache for the next observation.
fn observe(
    settings: &NodeSettings,
    mut before: FolderCache,
) -> PortResult<(BTreeMap<String, ObservedFolder>, FolderCache)> {
    let users = settings.users_dir();
    let (mut folders, mut now) = (BTreeMap::new(), FolderCache::default());
    let entries = match fs::read_dir(&users) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((folders, now)),
        other => other.map_err(disk_error(DiskAction::Read, &users))?,
    };
    for entry in entries {
        let entry = entry.map_err(disk_error(DiskAction::Read, &users))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_dir && name.starts_with(REMOVED_PREFIX) {
            // A removal that a crash interrupted, or one that is still running.
            remove_tree(&entry.path())?;
        } else if is_dir && copy::sweep(&entry.path(), SystemTime::now())? {
            // It waits for its tenant.
        } else if is_dir && tenant_of_folder(&name).is_some() {
            match now.folder(&mut before, &entry.path(), &name, settings.key_files) {
                Ok(folder) => drop(folders.insert(name, folder)),
                Err(e) if is_not_found(&e) => {}
                // A bad folder must not hide the others. An empty observation
                // differs from every spec, so the folder is written (or removed),
                // and that call reports what is wrong with it.
                Err(e) => {
                    tracing::warn!(folder = name, cause = ?e.cause, "a tenant's folder cannot be read");
                    folders.insert(name, ObservedFolder::default());
                }
            }
        }
    }
    Ok((folders, now))
}

fn usage(settings: &NodeSettings) -> PortResult<BTreeMap<TenantName, DiskUsage>> {
    let users = settings.users_dir();
    let entries = match fs::read_dir(&users) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other.map_err(disk_error(DiskAction::Read, &users))?,
    };
    let mut all = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(disk_error(DiskAction::Read, &users))?;
        let name = entry.file_name().into_string().ok();
        let Some(name) = name.as_deref().and_then(tenant_of_folder) else {
            continue;
        };
        let data = HeldDir::open(&entry.path().join("adguard_data"));
        match data.and_then(|data| data.usage(MAX_ENTRIES)) {
            Ok(usage) => drop(all.insert(name, usage)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => tracing::warn!(%name, "a tenant's files cannot be measured: {e}"),
        }
    }
    Ok(all)
}

fn write(settings: &NodeSettings, t: &TenantSpec) -> PortResult<()> {
    let dir = settings.tenant_dir(&t.name);
    create_private_dir(&dir)?;
    let keys = dir.join("keys");
    create_private_dir(&keys)?;
    let private = keys.join("private.key");
    if settings.key_files {
        write_private_file(&private, t.private_key.expose().as_bytes())?;
    } else {
        remove_file(&private)?;
    }
    write_private_file(
        &keys.join("public.key"),
        t.private_key.public().to_string().as_bytes(),
    )?;
    let conf = wg_conf_path(&dir, t.slot);
    for stale in read_folder(&dir, settings.key_files)?
        .wg_confs
        .keys()
        .map(|n| dir.join(n))
        .filter(|p| *p != conf)
    {
        fs::remove_file(&stale).map_err(disk_error(DiskAction::Remove, &stale))?;
    }
    write_private_file(&conf, t.stored_wg_conf(settings).expose().as_bytes())
}

/// Removes a file. It is no error if there is none.
fn remove_file(path: &Path) -> PortResult<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(disk_error(DiskAction::Remove, path)),
    }
}

fn remove(settings: &NodeSettings, folder: &str) -> PortResult<()> {
    if tenant_of_folder(folder).is_none() {
        return Err(PortError::new(
            ErrorCode::Internal,
            Message::FolderNameForeign {
                folder: folder.to_owned(),
            },
        ));
    }
    let dir = settings.users_dir().join(folder);
    let removed = settings
        .users_dir()
        .join(format!("{REMOVED_PREFIX}{folder}"));
    remove_tree(&removed)?;
    // The name becomes free at once: a tenant who signs up with it meanwhile
    // must not start in a folder that is being emptied.
    match fs::rename(&dir, &removed) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(disk_error(DiskAction::Remove, &dir)(e)),
        Ok(()) => remove_tree(&removed),
    }
}

/// How the name of a folder begins while it is being removed.
const REMOVED_PREFIX: &str = ".gone_";

fn remove_tree(dir: &Path) -> PortResult<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(disk_error(DiskAction::Remove, dir)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PrivateKey;
    use provisioning::observed::DnsConf;

    fn settings(root: &Path) -> NodeSettings {
        NodeSettings {
            addresses: domain::AddressPlan::default(),
            ipv6: true,
            root: root.to_owned(),
            dns_memory_bytes: 0,
            dns_cpu_thousandths: 0,
            tunnel_packets: provisioning::spec::PacketRate::at_least(100_000),
            image: "image".to_owned(),
            fallback_dns: std::net::Ipv4Addr::LOCALHOST,
            key_files: true,
        }
    }

    fn read(root: &Path) -> BTreeMap<String, ObservedFolder> {
        observe(&settings(root), FolderCache::default()).unwrap().0
    }

    #[test]
    fn without_key_files_no_secret_is_in_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let with = settings(root.path());
        let without = NodeSettings {
            key_files: false,
            ..settings(root.path())
        };
        let tenant = testkit::samples::tenant(&with, 1, 3);
        let name = tenant.name.folder();
        let dir = root.path().join("users").join(&name);
        create_private_dir(&root.path().join("users")).unwrap();
        let observed = |s: &NodeSettings| {
            let found = observe(s, FolderCache::default()).unwrap().0;
            found[&name].owner.clone()
        };
        let owner = Some(tenant.private_key.public().to_string());
        write(&with, &tenant).unwrap();
        assert_eq!(observed(&with), owner);
        assert_eq!(observed(&without), None, "the private key has to go");

        write(&without, &tenant).unwrap();
        assert_eq!(observed(&without), owner);
        assert_eq!(observed(&with), None, "the private key is missing");
        assert!(!dir.join("keys/private.key").exists());
        let conf = fs::read_to_string(dir.join("wg1.conf")).unwrap();
        assert!(!conf.contains("PrivateKey") && !conf.contains("PresharedKey"));
        assert_eq!(conf.matches("PublicKey").count(), tenant.devices.len());
    }

    fn make_folder(root: &Path, name: &str, public: &str) {
        let keys = root.join("users").join(name).join("keys");
        create_private_dir(&keys).unwrap();
        let private = PrivateKey::from_random([7; 32]);
        write_private_file(&keys.join("private.key"), private.expose().as_bytes()).unwrap();
        write_private_file(&keys.join("public.key"), public.as_bytes()).unwrap();
    }

    #[test]
    fn a_folder_with_damaged_keys_has_no_owner() {
        let root = tempfile::tempdir().unwrap();
        let key = PrivateKey::from_random([7; 32]).public().to_string();
        make_folder(root.path(), "user_whole", &key);
        make_folder(root.path(), "user_empty", "");
        make_folder(root.path(), "user_odd", &key);
        fs::create_dir(root.path().join("users/user_odd/wg1.conf")).unwrap();
        // The damaged folders hide no other.
        let found = read(root.path());
        assert_eq!(found["user_whole"].owner.as_deref(), Some(key.as_str()));
        assert_eq!(found["user_empty"].owner, None);
        assert_eq!(found["user_odd"], ObservedFolder::default());
    }

    #[test]
    fn a_replaced_dns_configuration_has_another_stamp() {
        let root = tempfile::tempdir().unwrap();
        make_folder(root.path(), "user_abcd", "");
        let conf = root.path().join("users/user_abcd/adguard_data/conf");
        let stamp = || read(root.path())["user_abcd"].dns_conf;
        assert_eq!(stamp(), DnsConf::Missing);
        create_private_dir(&conf).unwrap();
        let file = conf.join("AdGuardHome.yaml");
        write_private_file(&file, b"a: 1").unwrap();
        let first = stamp();
        assert!(matches!(first, DnsConf::Present(_)) && stamp() == first);
        write_private_file(&file, b"a: 2").unwrap();
        assert!(matches!(stamp(), DnsConf::Present(_)) && stamp() != first);
    }

    #[test]
    fn each_tenants_use_of_the_disk_is_measured() {
        let root = tempfile::tempdir().unwrap();
        for name in ["user_abcd", "user_efgh", "user_none"] {
            make_folder(root.path(), name, "");
        }
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("big"), vec![7; 1 << 20]).unwrap();
        for (name, size) in [("user_abcd", 300_000), ("user_efgh", 0)] {
            let work = root
                .path()
                .join("users")
                .join(name)
                .join("adguard_data/work");
            fs::create_dir_all(&work).unwrap();
            fs::write(work.join("querylog.json"), vec![7; size]).unwrap();
            std::os::unix::fs::symlink(outside.path(), work.join("link")).unwrap();
        }
        let usage = usage(&settings(root.path())).unwrap();
        let bytes = |name: &str| usage[&TenantName::parse(name).unwrap()].bytes;
        assert_eq!(usage.len(), 2, "{usage:?}");
        assert!((300_000..400_000).contains(&bytes("abcd")), "{usage:?}");
        assert!(bytes("efgh") < 50_000, "{usage:?}");
    }

    #[test]
    fn a_folder_in_another_spelling_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        for name in ["user_Abcd", "user_ abcd", "user_abcd\t"] {
            make_folder(root.path(), name, "");
            assert!(remove(&settings(root.path()), name).is_err(), "{name:?}");
        }
        assert!(read(root.path()).is_empty());
    }

    #[test]
    fn an_interrupted_removal_is_finished_by_the_next_observation() {
        let root = tempfile::tempdir().unwrap();
        make_folder(root.path(), ".gone_user_abcd", "");
        make_folder(root.path(), "user_abcd", "");
        assert_eq!(read(root.path()).len(), 1);
        assert!(!root.path().join("users/.gone_user_abcd").exists());
        remove(&settings(root.path()), "user_abcd").unwrap();
        assert!(read(root.path()).is_empty());
        assert_eq!(fs::read_dir(root.path().join("users")).unwrap().count(), 0);
        remove(&settings(root.path()), "user_abcd").unwrap();
        assert!(remove(&settings(root.path()), "../users").is_err());
    }
}
