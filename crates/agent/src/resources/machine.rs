//! The real side of [`Resources`].

use super::source::{ContainerUse, DiskUse, FileSystem, Resources};
use adguard::AdGuard;
use async_trait::async_trait;
use conntrack::Conntrack;
use containers::Docker;
use domain::{ErrorCode, Message, Slot, TenantName};
use hostfs::{BlockingPool, DiskAction, HeldDir, disk_error};
use nix::sys::statvfs::statvfs;
use provisioning::{
    ports::{DnsFilter, DnsPart, PortError, PortResult},
    spec::{DnsInstance, NodeSettings},
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The most files and folders of a tenant that are counted: AdGuard Home has some
/// dozens. One who has more uses too much, whatever their size.
const MAX_ENTRIES: u64 = 20_000;
/// How many calls use the disk at the same time.
const CONCURRENT_CALLS: usize = 4;

/// This machine.
pub(crate) struct MachineResources {
    settings: NodeSettings,
    /// What a tenant with too many files uses, in bytes.
    too_much: u64,
    docker: Arc<Docker>,
    dns: Arc<AdGuard>,
    disk: BlockingPool,
}

impl MachineResources {
    /// Returns a reader of this machine. A tenant may use `hard_bytes` of the disk.
    pub(crate) fn new(
        settings: NodeSettings,
        hard_bytes: u64,
        docker: Arc<Docker>,
        dns: Arc<AdGuard>,
    ) -> Self {
        Self {
            settings,
            too_much: hard_bytes.saturating_add(1),
            docker,
            dns,
            disk: BlockingPool::new(CONCURRENT_CALLS),
        }
    }

    /// Measures a tenant's `adguard_data/`.
    async fn measure(&self, data: PathBuf) -> PortResult<DiskUse> {
        let too_much = self.too_much;
        self.disk.run(move || measure(&data, too_much)).await
    }

    /// Returns how many bytes the removal freed.
    async fn freed_by(
        &self,
        dns: &DnsInstance,
        remove: impl Future<Output = PortResult<()>>,
    ) -> PortResult<u64> {
        let data = data_of(dns);
        let before = self.measure(data.clone()).await?.bytes;
        remove.await?;
        let after = self.measure(data).await?.bytes;
        Ok(before.saturating_sub(after))
    }
}

/// Returns the folder of an AdGuard Home's files, which holds its two others.
fn data_of(dns: &DnsInstance) -> PathBuf {
    let conf = dns.conf_dir.as_path();
    conf.parent().unwrap_or(conf).to_owned()
}

fn measure(data: &Path, too_much: u64) -> PortResult<DiskUse> {
    let used = match HeldDir::open(data).and_then(|dir| dir.usage(MAX_ENTRIES)) {
        Ok(used) => used,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(DiskUse::default()),
        Err(e) => return Err(disk_error(DiskAction::Read, data)(e)),
    };
    let bytes = match used.incomplete {
        true => used.bytes.max(too_much),
        false => used.bytes,
    };
    Ok(DiskUse {
        bytes,
        entries: used.entries,
    })
}

fn file_system(path: &Path) -> PortResult<FileSystem> {
    let read = statvfs(path).map_err(|e| {
        let path = path.display().to_string();
        let message = Message::FileSystemUnread { path };
        PortError::because(ErrorCode::DiskUnavailable, message, e)
    })?;
    // The types differ between architectures.
    #[allow(clippy::useless_conversion, reason = "u32 on some architectures")]
    let [blocks, free, available, size] = [
        u64::from(read.blocks()),
        u64::from(read.blocks_free()),
        u64::from(read.blocks_available()),
        u64::from(read.fragment_size()),
    ];
    let used = blocks.saturating_sub(free);
    Ok(FileSystem {
        total: used.saturating_add(available).saturating_mul(size),
        available: available.saturating_mul(size),
    })
}

#[async_trait]
impl Resources for MachineResources {
    async fn disk(&self, name: &TenantName) -> PortResult<DiskUse> {
        let data = self.settings.tenant_dir(name).join("adguard_data");
        self.measure(data).await
    }

    async fn file_system(&self) -> PortResult<FileSystem> {
        let root = self.settings.root.clone();
        self.disk.run(move || file_system(&root)).await
    }

    async fn trim(&self, dns: &DnsInstance) -> PortResult<u64> {
        let remove = async {
            // What nothing needs any more is removed before what a tenant may look for.
            let unused = self.dns.trim(dns, DnsPart::Lists).await?;
            if !self.dns.remove_set_aside(dns).await? && !unused {
                self.dns.trim(dns, DnsPart::QueryLog).await?;
            }
            Ok(())
        };
        self.freed_by(dns, remove).await
    }

    async fn clear(&self, dns: &DnsInstance) -> PortResult<u64> {
        let remove = async {
            self.dns.trim(dns, DnsPart::Lists).await?;
            self.dns.remove_set_aside(dns).await?;
            // The part that was written longer ago, and the one that was written last.
            self.dns.trim(dns, DnsPart::QueryLog).await?;
            self.dns.trim(dns, DnsPart::QueryLog).await?;
            Ok(())
        };
        self.freed_by(dns, remove).await
    }

    async fn drop_lists(&self, dns: &DnsInstance) -> PortResult<u64> {
        let remove = async {
            self.dns.set_aside(dns, DnsPart::Lists).await?;
            self.dns.remove_set_aside(dns).await?;
            Ok(())
        };
        self.freed_by(dns, remove).await
    }

    async fn containers(&self) -> PortResult<Vec<ContainerUse>> {
        let read = self.docker.usage().await?.into_iter();
        let ours = read.filter_map(|c| {
            Some(ContainerUse {
                slot: c.slot?,
                tenant: c.tenant,
                id: c.id,
                memory_bytes: c.memory_bytes,
                cpu: c.cpu,
            })
        });
        Ok(ours.collect())
    }

    async fn connections(&self) -> PortResult<BTreeMap<Slot, u64>> {
        Conntrack.counts(&self.settings.addresses).await
    }
}

#[cfg(test)]
mod tests;
