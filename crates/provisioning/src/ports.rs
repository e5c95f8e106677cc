//! What provisioning needs of the machine. A trait each, because tests need
//! fakes that fail on demand; the real sides are crates of their own.
//!
//! Every call is idempotent: making what is there and removing what is not
//! succeed. Every call ends: an implementation bounds its own waiting.

use crate::{
    observed::{
        ObservedContainers, ObservedDns, ObservedFirewall, ObservedFolder, ObservedInterface,
        PeerStatistics,
    },
    spec::{
        ContainerSpec, DnsClient, DnsInstance, FirewallTenant, InterfaceSpec, PeerSpec, TenantSpec,
    },
};
use async_trait::async_trait;
use domain::{ErrorCode, Problem, PublicKey, Slot, TenantName, Timestamp, view::QueryCounts};
use futures_util::stream::BoxStream;
use std::collections::BTreeMap;

/// A call to the machine that failed: what to tell people, and the cause.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct PortError {
    /// What, for programs.
    pub code: ErrorCode,
    /// What, and what to do, for people. Holds no secret.
    pub sentence: String,
    /// What the machine said.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PortError {
    /// A failure without a cause below it.
    pub fn new(code: ErrorCode, sentence: impl Into<String>) -> Self {
        Self {
            code,
            sentence: sentence.into(),
            cause: None,
        }
    }

    /// A failure with its cause.
    pub fn because(
        code: ErrorCode,
        sentence: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            code,
            sentence: sentence.into(),
            cause: Some(cause.into()),
        }
    }

    /// Whether the machine said that a file is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        let cause = self.cause.as_ref();
        let io = cause.and_then(|c| c.downcast_ref::<std::io::Error>());
        io.is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound)
    }

    /// As the status shows it.
    pub fn problem(&self) -> Problem {
        Problem {
            code: self.code,
            sentence: self.sentence.clone(),
        }
    }
}

/// The result of a port's call.
pub type PortResult<T> = Result<T, PortError>;

/// WireGuard interfaces with their addresses.
#[async_trait]
pub trait WireGuard: Send + Sync + 'static {
    /// Which implementation serves, in words, e.g. "kernel WireGuard".
    fn describe(&self) -> String;

    /// Every interface whose name is a slot's, ours or not.
    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>>;

    /// Makes the interface as specified: link, mark, key, port, peers, MTU
    /// 1420, address, up. An interface of ours that is there is brought to
    /// that state without dropping sessions of peers that do not change
    /// (peers not in the spec are removed).
    ///
    /// # Errors
    /// `NameForeign` where somebody else's interface has the name; `PortTaken`
    /// where another program holds the UDP port.
    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()>;

    /// Changes single peers of an interface of ours; nobody else's session is
    /// disturbed.
    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()>;

    /// Removes an interface of ours. A foreign one is left (an error).
    async fn delete(&self, slot: Slot) -> PortResult<()>;

    /// Counters of all peers of all our interfaces.
    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>>;

    /// Says that something about the interfaces may have changed by another
    /// hand. Ends never; says nothing where the machine cannot tell.
    fn events(&self) -> BoxStream<'static, ()>;
}

/// Peers to remove, then peers to set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerChange {
    /// Peers that go.
    pub remove: Vec<PublicKey>,
    /// Peers that come or change; allowed IPs are replaced.
    pub set: BTreeMap<PublicKey, PeerSpec>,
}

impl PeerChange {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty()
    }
}

/// Our nftables table.
#[async_trait]
pub trait Firewall: Send + Sync + 'static {
    /// Reads the table.
    async fn observe(&self) -> PortResult<ObservedFirewall>;

    /// Applies a change in one transaction: it happens whole or not at all.
    async fn apply(&self, change: &FirewallChange) -> PortResult<()>;

    /// Says that the ruleset may have changed by another hand.
    fn events(&self) -> BoxStream<'static, ()>;
}

/// A change of the firewall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirewallChange {
    /// Write the table and its rules anew; `set` then holds every tenant.
    pub rebuild: bool,
    /// Tenants whose elements go, with what stands of them now.
    pub remove: BTreeMap<Slot, crate::observed::ObservedFirewallTenant>,
    /// Tenants whose elements come or change, with what stands of them now
    /// (default where nothing does).
    pub set: Vec<(crate::observed::ObservedFirewallTenant, FirewallTenant)>,
}

impl FirewallChange {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.rebuild && self.remove.is_empty() && self.set.is_empty()
    }
}

/// DNS containers.
#[async_trait]
pub trait Containers: Send + Sync + 'static {
    /// The image and the containers.
    async fn observe(&self) -> PortResult<ObservedContainers>;

    /// Makes the container (and the network) where it is not there, and
    /// starts it. One that was made from something else (another revision, but
    /// for the image) is the planner's business: it is left as it is.
    ///
    /// # Errors
    /// `Busy` where such a one has the name; `ImageMissing`, `NameForeign`, `DockerUnavailable`.
    async fn start(&self, spec: &ContainerSpec) -> PortResult<()>;

    /// Stops (gracefully, a second) and removes a container of ours by id.
    async fn remove(&self, id: &str) -> PortResult<()>;

    /// Tries to get the image in the ordinary way (a pull).
    async fn fetch_image(&self) -> PortResult<()>;

    /// Says that a container of ours may have changed.
    fn events(&self) -> BoxStream<'static, ()>;
}

/// AdGuard Home's files and API.
#[async_trait]
pub trait DnsFilter: Send + Sync + 'static {
    /// Writes what a first start needs (configuration, lists' first copies,
    /// the clients) where it is not there yet. Folders 0700, files 0600.
    /// A configuration that is there is AdGuard Home's own and stays.
    async fn prepare(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()>;

    /// Asks a running instance. Bounded to 2 s.
    async fn observe(&self, dns: &DnsInstance) -> PortResult<ObservedDns>;

    /// Brings our clients to what they should be; the tenant's own stay.
    async fn set_clients(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()>;

    /// Queries and blocked ones of the last 24 hours.
    async fn counts(&self, dns: &DnsInstance) -> PortResult<QueryCounts>;
}

/// Tenants' folders on the disk. (`adguard_data/` in them is written by the
/// DNS filter's port.)
#[async_trait]
pub trait Folders: Send + Sync + 'static {
    /// Which tenants' folders there are, by their names, and what they hold.
    ///
    /// # Errors
    /// `DiskUnavailable`; then nothing is known, and nothing is removed.
    async fn observe(&self) -> PortResult<BTreeMap<String, ObservedFolder>>;

    /// Makes a tenant's folder where it is not there, and closes it to others.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn open(&self, name: &TenantName) -> PortResult<()>;

    /// Writes a tenant's folder: `wg<n>.conf` and keys.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    async fn write(&self, tenant: &TenantSpec) -> PortResult<()>;

    /// Removes a tenant's folder by its name, with all that is in it.
    ///
    /// # Errors
    /// `DiskUnavailable`; `Internal` where the name is not a tenant's folder's.
    async fn remove(&self, folder: &str) -> PortResult<()>;
}

/// Time, as an argument's source. Real or simulated.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Where a node's spec comes from, and where it leaves what it saw.
#[async_trait]
pub trait SpecSource: Send + Sync + 'static {
    /// The whole spec of this node.
    async fn load(&self) -> PortResult<crate::spec::NodeSpec>;
}

/// The name a folder below `users/` belongs to, where it is one of ours in form.
pub fn tenant_of_folder(folder: &str) -> Option<TenantName> {
    let name = TenantName::parse(folder.strip_prefix(TenantName::FOLDER_PREFIX)?).ok()?;
    // What a person typed is forgiven blanks and capitals; a folder that has
    // them is somebody else's.
    (name.folder() == folder).then_some(name)
}
