//! A tenant's folder below the root: `users/user_<name>/{wg<n>.conf, keys/}`.
//! (`adguard_data/` is written by the DNS filter's port.) Folders are 0700,
//! files 0600, each written whole by rename, so a reader never sees a half.
//!
//! Nothing here is the truth: the spec is, and a file that differs is written
//! again. That is why nothing is flushed to the disk by force.

use crate::{
    observed::{ObservedFolder, content_hash},
    ports::{Folders, PortError, PortResult, tenant_of_folder},
    spec::{NodeSettings, TenantSpec, wg_conf_path},
};
use async_trait::async_trait;
use domain::{ErrorCode, Slot, TenantName};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

/// The real side of the port [`Folders`]: the disk, which may be slow, so
/// every call runs where blocking harms nobody.
#[derive(Clone, Debug)]
pub struct Disk {
    settings: Arc<NodeSettings>,
}

impl Disk {
    /// The folders below the settings' root. Touches nothing yet.
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            settings: Arc::new(settings),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&NodeSettings) -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let settings = self.settings.clone();
        tokio::task::spawn_blocking(move || work(&settings))
            .await
            .unwrap_or_else(|e| {
                let sentence = "Work on the disk broke off.";
                Err(PortError::because(ErrorCode::Internal, sentence, e))
            })
    }
}

#[async_trait]
impl Folders for Disk {
    async fn observe(&self) -> PortResult<BTreeMap<String, ObservedFolder>> {
        self.blocking(observe).await
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
    let write = || -> io::Result<()> {
        let mut f = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        f.set_permissions(fs::Permissions::from_mode(0o600))?;
        io::Write::write_all(&mut f, content)?;
        fs::rename(&beside, path)
    };
    write().map_err(|e| {
        // What could not be completed must not fill the disk further.
        let _ = fs::remove_file(&beside);
        failed("Writing", path)(e)
    })
}

fn observe(settings: &NodeSettings) -> PortResult<BTreeMap<String, ObservedFolder>> {
    let users = settings.users_dir();
    let mut folders = BTreeMap::new();
    let entries = match fs::read_dir(&users) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(folders),
        other => other.map_err(failed("Reading", &users))?,
    };
    for entry in entries {
        let entry = entry.map_err(failed("Reading", &users))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_dir && tenant_of_folder(&name).is_some() {
            let folder = observe_folder(&entry.path())?;
            folders.insert(name, folder);
        }
    }
    Ok(folders)
}

fn observe_folder(dir: &Path) -> PortResult<ObservedFolder> {
    let owner = fs::read_to_string(dir.join("keys/public.key")).ok();
    let mut folder = ObservedFolder {
        owner: owner.map(|o| o.trim().to_owned()),
        ..ObservedFolder::default()
    };
    for entry in fs::read_dir(dir).map_err(failed("Reading", dir))? {
        let entry = entry.map_err(failed("Reading", dir))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let slot = name.strip_suffix(".conf").and_then(Slot::of_interface);
        if slot.is_some() {
            let content = fs::read(entry.path()).map_err(failed("Reading", dir))?;
            folder.wg_confs.insert(name, content_hash(&content));
        }
    }
    Ok(folder)
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
    match fs::remove_dir_all(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("Removing", &dir)),
    }
}
