//! What the engine needs of the machine: a trait for each concern, because tests
//! need fakes that fail on demand. The real sides are the crates below
//! `crates/machine`.
//!
//! Every call is idempotent: creating what exists and removing what does not
//! exist succeed. Every call ends: an implementation bounds its own waiting.

pub use crate::error::{PortError, PortResult};

use crate::{
    observed::{
        ObservedContainers, ObservedDns, ObservedFirewall, ObservedFirewallTenant, ObservedFolder,
        ObservedInterface, ObservedSpeed,
    },
    spec::{ContainerSpec, DnsClient, DnsInstance, FirewallTenant, InterfaceSpec, PeerSpec},
};
use async_trait::async_trait;
use domain::{AddressPlan, Ipv6Prefix, PublicKey, Slot, TenantName, view::QueryCounts};
use futures_util::stream::BoxStream;
use ipnet::Ipv4Net;
use protocol::{NodeSpec, PeerStatistics, SpeedLimits, TenantSpec};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// WireGuard interfaces with their addresses.
#[async_trait]
pub trait WireGuard: Send + Sync + 'static {
    /// Returns the name of the implementation, e.g. "kernel WireGuard".
    fn describe(&self) -> String;

    /// Reads every interface whose name is a slot's, ours or not.
    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>>;

    /// Creates the interface as specified: link, owner mark, key, port, peers,
    /// MTU (1420, or what fits into the link to the internet), address, up. An
    /// existing interface of ours is changed to that state without dropping the
    /// sessions of peers that do not change (peers not in the spec are removed).
    ///
    /// # Errors
    /// `NameForeign` where an interface that is not ours has the name;
    /// `PortTaken` where another program uses the UDP port.
    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()>;

    /// Changes single peers of an interface of ours. No other peer's session is
    /// disturbed.
    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()>;

    /// Removes an interface of ours. A foreign one is left alone: an error.
    async fn delete(&self, slot: Slot) -> PortResult<()>;

    /// Reads the counters of all peers of all our interfaces.
    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>>;

    /// Returns a stream with an item whenever an external change may have touched
    /// the interfaces. It never ends, and yields nothing where the machine does
    /// not report changes.
    fn events(&self) -> BoxStream<'static, ()>;
}

/// Peers to remove, and then peers to set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerChange {
    /// Peers to remove.
    pub remove: Vec<PublicKey>,
    /// Peers to add or change. Allowed IPs are replaced.
    pub set: BTreeMap<PublicKey, PeerSpec>,
}

impl PeerChange {
    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty()
    }
}

/// Our nftables table.
#[async_trait]
pub trait Firewall: Send + Sync + 'static {
    /// Reads the table.
    async fn observe(&self) -> PortResult<ObservedFirewall>;

    /// Applies a change in one transaction: completely or not at all.
    async fn apply(&self, change: &FirewallChange) -> PortResult<()>;

    /// Returns a stream with an item whenever an external change may have touched
    /// the ruleset.
    fn events(&self) -> BoxStream<'static, ()>;
}

/// A change of the firewall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirewallChange {
    /// Write the table and its rules again; `set` then contains every tenant.
    pub rebuild: bool,
    /// Tenants whose elements are removed, with their present elements.
    pub remove: BTreeMap<Slot, ObservedFirewallTenant>,
    /// Tenants whose elements are added or changed, with their present elements
    /// (the default where there are none).
    pub set: Vec<(ObservedFirewallTenant, FirewallTenant)>,
    /// The nodes that packets to slots' ports are sent on to, as observed and as wanted.
    pub forwards: Change<BTreeMap<Slot, Ipv4Addr>>,
}

/// A value before and after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change<T> {
    /// The present value.
    pub from: T,
    /// The wanted one.
    pub to: T,
}

impl<T: PartialEq> Change<T> {
    /// Returns whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }
}

impl FirewallChange {
    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let is_same = self.remove.is_empty() && self.set.is_empty() && self.forwards.is_empty();
        is_same && !self.rebuild
    }
}

/// Speed limits of tenants' interfaces.
#[async_trait]
pub trait Shaping: Send + Sync + 'static {
    /// Reads the limits of every slot for which anything of ours exists.
    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedSpeed>>;

    /// Sets the limits of a slot's interface. Without any limit it removes everything
    /// of ours for the slot, also where the interface is gone.
    async fn apply(&self, slot: Slot, speed: &SpeedLimits) -> PortResult<()>;

    /// Returns a stream with an item whenever an external change may have touched
    /// the limits.
    fn events(&self) -> BoxStream<'static, ()>;
}

/// The kernel's table of tracked connections. An entry outlives the device it belongs
/// to, so it must be removed before an address is given to another.
#[async_trait]
pub trait Connections: Send + Sync + 'static {
    /// Says which addresses of IPv6 belong to the same devices as those of IPv4: what the
    /// other calls say of one holds for both.
    fn use_ipv6(&self, prefix: Ipv6Prefix, plan: &AddressPlan) {
        let _ = (prefix, plan);
    }

    /// Removes every connection that has an end in one of these networks, in either
    /// direction. Returns how many.
    async fn end(&self, networks: &BTreeSet<Ipv4Net>) -> PortResult<u64>;

    /// Removes every connection with an end in one of `ranges` whose address there is
    /// not in `held`, and every connection to a slot's UDP port that is sent on: what was
    /// left before this process started. Returns how many.
    async fn sweep(&self, ranges: &[Ipv4Net], held: &BTreeSet<Ipv4Addr>) -> PortResult<u64>;

    /// Removes the connections to UDP ports that lead elsewhere than new ones: where a
    /// port is sent on to an address, those that are not sent there; otherwise those that
    /// are sent on at all. Returns how many.
    async fn redirect(&self, ports: &BTreeMap<u16, Option<Ipv4Addr>>) -> PortResult<u64>;
}

/// A part of a tenant's AdGuard Home that can be damaged by itself, in the order in
/// which they are set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnsPart {
    /// The statistics.
    Statistics,
    /// The log of queries.
    QueryLog,
    /// Block lists that the tenant added.
    Lists,
    /// The configuration, with the tenant's own settings.
    Config,
}

/// DNS containers.
#[async_trait]
pub trait Containers: Send + Sync + 'static {
    /// Reads the image and the containers.
    async fn observe(&self) -> PortResult<ObservedContainers>;

    /// Creates the container (and the network) where it does not exist, and
    /// starts it. A container of another revision (apart from the image) is left
    /// as it is: replacing it is the planner's decision.
    ///
    /// # Errors
    /// `Busy` where such a container has the name; `ImageMissing`,
    /// `NameForeign`, `DockerUnavailable`.
    async fn start(&self, spec: &ContainerSpec) -> PortResult<()>;

    /// Stops a container of ours (gracefully, within a second) and removes it by id.
    async fn remove(&self, id: &str) -> PortResult<()>;

    /// Pulls the image.
    async fn fetch_image(&self) -> PortResult<()>;

    /// Returns a stream with an item whenever a container of ours may have changed.
    fn events(&self) -> BoxStream<'static, ()>;
}

/// AdGuard Home's files and API.
#[async_trait]
pub trait DnsFilter: Send + Sync + 'static {
    /// Writes what a first start needs (configuration, first copies of the lists,
    /// the clients) where it does not exist yet. Folders are 0700, files 0600, and both
    /// the container's user's. An existing configuration is AdGuard Home's own: only
    /// what bounds the load is set in it.
    async fn prepare(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()>;

    /// Reads a running instance's state, within 2 s.
    async fn observe(&self, dns: &DnsInstance) -> PortResult<ObservedDns>;

    /// Changes our clients to these. The tenant's own clients are left alone.
    async fn set_clients(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()>;

    /// Moves a damaged part of a stopped instance's data out of the way, so that it
    /// starts without it; of each part the newest is kept. Returns whether there was
    /// anything to move.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn set_aside(&self, dns: &DnsInstance, part: DnsPart) -> PortResult<bool>;

    /// Returns how many queries there were in the last 24 hours, and how many of
    /// them were blocked.
    async fn counts(&self, dns: &DnsInstance) -> PortResult<QueryCounts>;
}

/// Tenants' folders on the disk. (`adguard_data/` in them is written by the
/// DNS filter's port.)
#[async_trait]
pub trait Folders: Send + Sync + 'static {
    /// Reads tenants' folders, by name.
    ///
    /// # Errors
    /// `DiskUnavailable`; then nothing is known, and nothing is removed.
    async fn observe(&self) -> PortResult<BTreeMap<String, ObservedFolder>>;

    /// Creates a tenant's folder where it does not exist, and makes it private.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn open(&self, name: &TenantName) -> PortResult<()>;

    /// Writes a tenant's folder: `wg<n>.conf` and keys.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn write(&self, tenant: &TenantSpec) -> PortResult<()>;

    /// Makes what has arrived from another node for a tenant the tenant's, if there is
    /// something. The tenant's container must not run.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn adopt(&self, _tenant: &TenantSpec) -> PortResult<()> {
        Ok(())
    }

    /// Removes a tenant's folder by its name, with everything in it.
    ///
    /// # Errors
    /// `DiskUnavailable`; `Internal` where the name is not that of a tenant's folder.
    async fn remove(&self, folder: &str) -> PortResult<()>;
}

/// Where a node's spec comes from.
#[async_trait]
pub trait SpecSource: Send + Sync + 'static {
    /// Loads the complete spec of this node. `in_force` is the generation of the
    /// spec that the node has in force, 0 for none. The node follows every spec
    /// that it is given; a source whose database has fallen behind raises the
    /// generation.
    async fn load(&self, in_force: u64) -> PortResult<NodeSpec>;
}

/// Returns the tenant whose folder below `users/` has this name; `None` where the
/// name does not have the form of ours.
pub fn tenant_of_folder(folder: &str) -> Option<TenantName> {
    let name = TenantName::parse(folder.strip_prefix(TenantName::FOLDER_PREFIX)?).ok()?;
    // Blanks and capitals in what a person types are normalised. We never write a
    // folder that has them, so such a folder is not ours.
    (name.folder() == folder).then_some(name)
}
