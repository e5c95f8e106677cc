//! What the meter needs of the machine. A trait, because tests need a machine whose
//! figures they set.

use async_trait::async_trait;
use domain::{Slot, TenantName};
use provisioning::{ports::PortResult, spec::DnsInstance};
use std::{collections::BTreeMap, time::Duration};

/// What an AdGuard Home's files take up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Bytes of the disk.
    pub bytes: u64,
    /// How many files and folders were looked at for that: what the reading cost.
    pub entries: u64,
}

/// The space of a file system, in bytes, for programs without privileges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// What is used and what is available, together.
    pub total: u64,
    pub available: u64,
}

/// What a running container uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUse {
    pub slot: Slot,
    /// The tenant on its label.
    pub tenant: String,
    /// The container's id: another one counts its processor time from 0.
    pub id: String,
    /// Private memory, in bytes.
    pub memory_bytes: u64,
    /// Processor time since the container started.
    pub cpu: Option<Duration>,
}

/// Where what tenants use is read, and where too much of it is removed. Never called
/// while a request waits. Every call ends.
#[async_trait]
pub trait Resources: Send + Sync + 'static {
    /// Measures what a tenant's AdGuard Home has on the disk. Nothing is there: 0 bytes.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn disk(&self, name: &TenantName) -> PortResult<DiskUse>;

    /// Reads the space of the file system that the tenants' folders are on.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn file_system(&self) -> PortResult<FileSystem>;

    /// Removes the oldest part of the query log of an AdGuard Home, which may be
    /// running. Returns how many bytes that freed; 0 where there is nothing to remove.
    ///
    /// # Errors
    /// `DiskUnavailable`, `DnsUnavailable`.
    async fn trim(&self, dns: &DnsInstance) -> PortResult<u64>;

    /// Removes what can go without asking the tenant from a *stopped* AdGuard Home:
    /// query logs, and lists that are no longer in use. Returns how many bytes that
    /// freed.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn clear(&self, dns: &DnsInstance) -> PortResult<u64>;

    /// Takes the lists that the tenant added out of a *stopped* AdGuard Home, with its
    /// copies of them. Returns how many bytes that freed.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn drop_lists(&self, dns: &DnsInstance) -> PortResult<u64>;

    /// Reads what each of our running containers uses.
    ///
    /// # Errors
    /// `DockerUnavailable`, `MemoryUnknown`; then nothing is known of any.
    async fn containers(&self) -> PortResult<Vec<ContainerUse>>;

    /// Counts the entries of the connection table of each slot that has any.
    ///
    /// # Errors
    /// `FirewallUnavailable`.
    async fn connections(&self) -> PortResult<BTreeMap<Slot, u64>>;
}
