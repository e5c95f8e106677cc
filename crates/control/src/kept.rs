//! A node's last spec, kept on its disk: what it comes up from after a reboot
//! when the database does not answer. Sealed, because it holds every private
//! key; written whole by rename, some seconds after a change, so that a burst
//! of changes is one writing and nobody waits for it.
//!
//! What was revoked must not come back with it: a change that takes something
//! away removes the file before it is in force, and so before anybody is told.

use async_trait::async_trait;
use domain::{
    DeviceId, DeviceLabel, ErrorCode, FilterPolicy, NodeId, PresharedKey, PrivateKey, PublicKey,
    Secret, Slot, TenantName,
};
use provisioning::{
    PortError, SpecSource, disk,
    ports::PortResult,
    spec::{DeviceSpec, NodeSpec, TenantSpec},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{Purpose, Sealer};

/// How long changes are gathered before the file is written.
const GATHER: Duration = Duration::from_secs(3);
/// The first line of what this version writes.
const FORMAT: &str = "maliknode spec 1";
/// 1,000 tenants with 50 devices each are 17 MB; whatever is longer is something else.
const LONGEST: u64 = 128 << 20;

/// The file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeptSpec {
    path: PathBuf,
    sealer: Sealer,
    node: NodeId,
}

impl KeptSpec {
    /// The file of that node; touches nothing.
    pub const fn new(path: PathBuf, sealer: Sealer, node: NodeId) -> Self {
        Self { path, sealer, node }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was kept; `None` where nothing was.
    ///
    /// # Errors
    /// `BadConfiguration` where it is damaged or of another key;
    /// `DiskUnavailable` where it cannot be read.
    pub fn read(&self) -> PortResult<Option<NodeSpec>> {
        let path = self.path.display();
        let read = || -> io::Result<String> {
            if fs::metadata(&self.path)?.len() > LONGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            fs::read_to_string(&self.path)
        };
        let damaged = format!(
            "The copy of the last spec, {path}, is damaged or of another key file: it is not used."
        );
        let sealed = match read() {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                return Err(PortError::because(ErrorCode::BadConfiguration, damaged, e));
            }
            Err(e) => {
                let sentence = format!("The copy of the last spec, {path}, cannot be read.");
                return Err(PortError::because(ErrorCode::DiskUnavailable, sentence, e));
            }
        };
        let opened = self
            .sealer
            .open(Purpose::LastSpec, &self.whose(), sealed.trim());
        let text = opened
            .map_err(|e| PortError::because(ErrorCode::BadConfiguration, damaged.clone(), e))?;
        let spec = std::str::from_utf8(&text).ok().and_then(parse);
        spec.map(Some)
            .ok_or_else(|| PortError::new(ErrorCode::BadConfiguration, damaged))
    }

    /// Keeps a spec in place of the one before.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub fn write(&self, spec: &NodeSpec) -> PortResult<()> {
        let text = format(spec);
        let sealed = self
            .sealer
            .seal(Purpose::LastSpec, &self.whose(), text.expose().as_bytes())
            .map_err(|e| {
                let sentence = "The last spec could not be sealed.";
                PortError::because(ErrorCode::Internal, sentence, e)
            })?;
        disk::private_file(&self.path, sealed.as_bytes())
    }

    /// Removes the file for good: not even a power cut brings it back.
    ///
    /// # Errors
    /// The disk's.
    fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(()) => match self.path.parent() {
                Some(folder) => fs::File::open(folder)?.sync_all(),
                None => Ok(()),
            },
        }
    }

    fn whose(&self) -> String {
        format!("node {}", self.node.0)
    }
}

/// What was kept, as the spec in force while there is no database.
#[async_trait]
impl SpecSource for KeptSpec {
    async fn load(&self) -> PortResult<NodeSpec> {
        let kept = self.clone();
        let read = tokio::task::spawn_blocking(move || kept.read()).await;
        let read = read.map_err(|e| {
            PortError::because(ErrorCode::Internal, "Reading the last spec broke off.", e)
        })?;
        read?.ok_or_else(|| {
            PortError::new(
                ErrorCode::DatabaseUnavailable,
                "No spec was kept on this disk.",
            )
        })
    }
}

/// Loads from another source, and keeps what it gave.
pub struct KeepingSpecs<S> {
    source: S,
    kept: KeptSpec,
    /// The spec that waits to be written.
    waiting: Arc<Mutex<Option<NodeSpec>>>,
    /// Held by whoever writes or removes the file.
    file: Arc<Mutex<()>>,
    /// What was loaded last.
    seen: Mutex<Option<NodeSpec>>,
}

impl<S: SpecSource> KeepingSpecs<S> {
    /// Keeps what `source` gives in `kept`.
    pub fn new(source: S, kept: KeptSpec) -> Self {
        Self {
            source,
            kept,
            waiting: Arc::default(),
            file: Arc::default(),
            seen: Mutex::default(),
        }
    }

    /// Has a spec written soon; with it whichever follows until then.
    fn keep(&self, spec: &NodeSpec) {
        if held(&self.waiting).replace(spec.clone()).is_some() {
            return;
        }
        let (kept, waiting, file) = (self.kept.clone(), self.waiting.clone(), self.file.clone());
        tokio::spawn(async move {
            tokio::time::sleep(GATHER).await;
            let write = move || {
                // Before the spec is taken: nobody removes the file in between.
                let _file = held(&file);
                let spec = held(&waiting).take();
                spec.map_or(Ok(()), |spec| kept.write(&spec))
            };
            match tokio::task::spawn_blocking(write).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    tracing::warn!(error = %e, cause = ?e.cause, "the last spec could not be kept for a start without the database")
                }
                Err(e) => tracing::error!(error = %e, "keeping the last spec broke off"),
            }
        });
    }

    /// Removes the file, after whoever is writing it. That it cannot be is no
    /// reason to let in who was revoked.
    async fn forget(&self) {
        let (kept, file) = (self.kept.clone(), self.file.clone());
        let forget = move || {
            let _file = held(&file);
            kept.forget()
        };
        match tokio::task::spawn_blocking(forget).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => {
                tracing::error!(error = %e, "the copy of an older spec could not be removed: without the database a start would let in who was revoked since")
            }
            Err(e) => tracing::error!(error = %e, "removing the copy of an older spec broke off"),
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whole after any panic: every change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether somebody could do something by the old spec that the new one no
/// longer allows.
fn revokes(old: &NodeSpec, new: &NodeSpec) -> bool {
    old.tenants.iter().any(|(slot, was)| {
        let is = new.tenants.get(slot);
        let is = is.filter(|t| t.name == was.name && t.private_key == was.private_key);
        let Some(is) = is.filter(|t| was.suspended || !t.suspended) else {
            return true;
        };
        !Arc::ptr_eq(was, is)
            && was.devices.iter().any(|(id, had)| {
                let has = is.devices.get(id);
                has.is_none_or(|d| d.public_key != had.public_key || (had.mesh && !d.mesh))
            })
    })
}

#[async_trait]
impl<S: SpecSource> SpecSource for KeepingSpecs<S> {
    async fn load(&self) -> PortResult<NodeSpec> {
        let spec = self.source.load().await?;
        let before = held(&self.seen).replace(spec.clone());
        if before.as_ref().map(|b| b.generation) != Some(spec.generation) {
            self.keep(&spec);
        }
        if before.is_some_and(|before| revokes(&before, &spec)) {
            self.forget().await;
        }
        Ok(spec)
    }
}

/// One line each for the tenants and, below them, their devices; what may hold
/// spaces stands last.
fn format(spec: &NodeSpec) -> Secret {
    let devices: usize = spec.tenants.values().map(|t| t.devices.len()).sum();
    // As long as it can get: what grows leaves copies of keys behind.
    let mut text = String::with_capacity(64 + 512 * (spec.tenants.len() + devices));
    text.push_str(&format!("{FORMAT}\n{}\n", spec.generation));
    for t in spec.tenants.values() {
        let state = if t.suspended { "suspended" } else { "active" };
        let head = [
            "tenant ",
            &t.slot.to_string(),
            " ",
            t.name.as_str(),
            " ",
            state,
            " ",
        ];
        head.iter().for_each(|word| text.push_str(word));
        text.push_str(&t.private_key.expose());
        for word in [
            " ",
            &t.dns_password_hash,
            " ",
            t.dns_password.expose(),
            "\n",
        ] {
            text.push_str(word);
        }
        for (id, d) in &t.devices {
            let head = format!("device {} {} {} ", id.0, d.address, d.public_key);
            text.push_str(&head);
            text.push_str(&d.preshared_key.expose());
            let mesh = if d.mesh { "mesh" } else { "alone" };
            let words = [
                " ",
                mesh,
                " ",
                d.policy.as_str(),
                " ",
                &d.client_id,
                " ",
                d.label.as_str(),
            ];
            words.iter().for_each(|word| text.push_str(word));
            text.push('\n');
        }
    }
    text.push_str("end\n");
    Secret::new(text)
}

/// The way back; `None` for whatever [`format`] would not have written.
fn parse(text: &str) -> Option<NodeSpec> {
    let mut lines = text.strip_suffix("end\n")?.lines();
    (lines.next()? == FORMAT).then_some(())?;
    let mut spec = NodeSpec {
        generation: lines.next()?.parse().ok()?,
        ..NodeSpec::default()
    };
    let mut tenant: Option<TenantSpec> = None;
    for line in lines {
        if let Some(line) = line.strip_prefix("tenant ") {
            spec.tenants
                .extend(tenant.take().map(|t| (t.slot, Arc::new(t))));
            tenant = Some(parse_tenant(line)?);
        } else {
            let (id, device) = parse_device(line.strip_prefix("device ")?)?;
            tenant.as_mut()?.devices.insert(id, device);
        }
    }
    spec.tenants.extend(tenant.map(|t| (t.slot, Arc::new(t))));
    Some(spec)
}

fn parse_tenant(line: &str) -> Option<TenantSpec> {
    let mut words = line.splitn(6, ' ');
    Some(TenantSpec {
        slot: Slot::new(words.next()?.parse().ok()?)?,
        name: TenantName::parse(words.next()?).ok()?,
        suspended: match words.next()? {
            "suspended" => true,
            "active" => false,
            _ => return None,
        },
        private_key: PrivateKey::parse(words.next()?).ok()?,
        dns_password_hash: words.next()?.to_owned(),
        dns_password: Secret::new(words.next()?),
        devices: std::collections::BTreeMap::new(),
    })
}

fn parse_device(line: &str) -> Option<(DeviceId, DeviceSpec)> {
    let mut words = line.splitn(8, ' ');
    let id = DeviceId(words.next()?.parse().ok()?);
    let device = DeviceSpec {
        address: words.next()?.parse().ok()?,
        public_key: PublicKey::parse(words.next()?).ok()?,
        preshared_key: PresharedKey::parse(words.next()?).ok()?,
        mesh: match words.next()? {
            "mesh" => true,
            "alone" => false,
            _ => return None,
        },
        policy: words.next()?.parse::<FilterPolicy>().ok()?,
        client_id: words.next()?.to_owned(),
        label: DeviceLabel::parse(words.next()?).ok()?,
    };
    Some((id, device))
}

#[cfg(test)]
mod tests;
