//! What a node holds, as far as it could be read. What could not be read is
//! *unreadable*, never empty: nothing is deleted because a socket did not answer.

use crate::{
    error::PortError,
    spec::{DnsClient, FirewallTenant, PacketRate},
};
use domain::{FilterPolicy, Ipv6Subnet, PresharedKey, PublicKey, Slot};
use ipnet::IpNet;
use protocol::SpeedLimits;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// The result of reading something from the machine.
#[derive(Clone, Debug)]
pub enum Observation<T> {
    /// It was read.
    Read(T),
    /// It could not be read.
    Unreadable(Arc<PortError>),
}

impl<T> Observation<T> {
    /// Returns what was read; `None` where it could not be read.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Observation::Read(t) => Some(t),
            Observation::Unreadable(_) => None,
        }
    }

    /// Returns why it could not be read; `None` where it was read.
    pub fn error(&self) -> Option<&PortError> {
        match self {
            Observation::Read(_) => None,
            Observation::Unreadable(e) => Some(e),
        }
    }
}

impl<T> From<Result<T, PortError>> for Observation<T> {
    fn from(r: Result<T, PortError>) -> Self {
        match r {
            Ok(t) => Observation::Read(t),
            Err(e) => Observation::Unreadable(Arc::new(e)),
        }
    }
}

/// Everything that a plan is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Interfaces whose names are slots'.
    pub wireguard: Observation<BTreeMap<Slot, ObservedInterface>>,
    /// Our table.
    pub firewall: Observation<ObservedFirewall>,
    /// Speed limits, by slot.
    pub shaping: Observation<BTreeMap<Slot, ObservedSpeed>>,
    /// The image and the containers.
    pub containers: Observation<ObservedContainers>,
    /// The state of the AdGuard Home in each running container.
    pub dns: BTreeMap<Slot, Observation<ObservedDns>>,
    /// Folders below `users/`, by name, with their contents.
    pub folders: Observation<BTreeMap<String, ObservedFolder>>,
}

/// An interface with a slot's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedInterface {
    /// The owner mark on it (the link's alias); `None` where it is not ours.
    pub owner: Option<String>,
    /// Its public key, if it has a key.
    pub public_key: Option<PublicKey>,
    /// Its UDP port.
    pub listen_port: u16,
    /// Its addresses with their prefixes, without link-local ones of IPv6.
    pub addresses: BTreeSet<IpNet>,
    /// Whether the link is up.
    pub up: bool,
    /// Its peers.
    pub peers: BTreeMap<PublicKey, ObservedPeer>,
}

/// A peer in WireGuard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPeer {
    /// The preshared key, if one is set.
    pub preshared_key: Option<PresharedKey>,
    /// The addresses it may send from.
    pub allowed_ips: BTreeSet<IpNet>,
}

/// Our nftables table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedFirewall {
    /// Whether the table exists with the rules that this version writes.
    pub complete: bool,
    /// The tenants in its sets. A tenant with only a part of its elements is
    /// listed with that part, so that it differs from its spec.
    pub tenants: BTreeMap<Slot, ObservedFirewallTenant>,
    /// The nodes that packets to slots' ports are sent on to.
    pub forwards: BTreeMap<Slot, Ipv4Addr>,
}

/// A tenant's elements in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedFirewallTenant {
    /// Subnets listed for its interface.
    pub subnets: BTreeSet<ipnet::Ipv4Net>,
    /// Gateways listed for its interface.
    pub gateways: BTreeSet<Ipv4Addr>,
    /// Where its DNS queries are sent, if anywhere.
    pub dns: Option<Ipv4Addr>,
    /// Mesh members listed for its interface.
    pub mesh: BTreeSet<Ipv4Addr>,
    /// Devices listed for its interface whose policy is a lock.
    pub locked: BTreeSet<Ipv4Addr>,
    /// Subnets of IPv6 listed for its interface.
    pub subnets6: BTreeSet<Ipv6Subnet>,
    /// Mesh members of IPv6 listed for its interface.
    pub mesh6: BTreeSet<Ipv6Addr>,
    /// Addresses of IPv6 listed for its interface whose device's policy is a lock.
    pub locked6: BTreeSet<Ipv6Addr>,
    /// Whether its interface is in the set of our interfaces.
    pub listed: bool,
    /// Whether its interface is in the set of those that are stopped.
    pub stopped: bool,
    /// Encrypted packets per second to its port, if they are limited.
    pub tunnel_packets: Option<PacketRate>,
}

impl ObservedFirewallTenant {
    /// Returns the elements that are observed once these are in force.
    pub fn from_spec(t: &FirewallTenant) -> Self {
        Self {
            subnets: [t.subnet].into(),
            gateways: [t.gateway].into(),
            dns: t.dns,
            mesh: t.mesh.clone(),
            locked: t.locked.clone(),
            subnets6: t.subnet6.into_iter().collect(),
            mesh6: t.mesh6.clone(),
            locked6: t.locked6.clone(),
            listed: true,
            stopped: t.stopped,
            tunnel_packets: Some(t.tunnel_packets),
        }
    }
}

/// The speed limits of a slot, as the kernel has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObservedSpeed {
    /// The limits in force.
    pub limits: SpeedLimits,
    /// Whether every part of ours is there as we make it.
    pub intact: bool,
}

/// The image, and the containers with our label or our names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedContainers {
    /// Whether the engine has the image.
    pub image: bool,
    /// Containers with our label.
    pub ours: Vec<ObservedContainer>,
    /// Names of containers that lack our label, of the forms `adguard_user_*` and
    /// [`docker_name`](crate::spec::docker_name).
    pub foreign: BTreeSet<String>,
}

/// A container with our label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedContainer {
    /// The engine's id.
    pub id: String,
    /// Its published name, `adguard_user_<name>`, from its label.
    pub name: String,
    /// The slot on its label.
    pub slot: Option<Slot>,
    /// The revision on its label (`ContainerSpec::revision`).
    pub revision: String,
    /// Its state.
    pub state: ContainerState,
}

/// The state of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// It runs.
    Running,
    /// It was created and never started, or its process has ended.
    Stopped,
    /// The engine is starting it again after it failed.
    Restarting,
    /// An external change paused it.
    Paused,
    /// The engine is removing it.
    Removing,
    /// The engine failed to remove it, and calls it dead.
    Dead,
}

/// The state of a tenant's AdGuard Home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedDns {
    /// `running` of `GET /control/status`: DNS queries are answered.
    pub running: bool,
    /// Persistent clients with an id of ours (`mn-…`), by that id. A tenant's
    /// own clients are not listed: we leave them alone.
    pub clients: BTreeMap<String, ObservedDnsClient>,
    /// The addresses that names of the tenant's devices stand for.
    pub names: BTreeMap<String, BTreeSet<IpAddr>>,
    /// The names among its devices' domain that the tenant has written itself: they stay.
    pub own_names: BTreeSet<String>,
    /// Whether lists alone decide for its locked devices, because AdGuard's look-up service
    /// cannot be reached.
    pub lookups_away: bool,
}

impl ObservedDns {
    /// Returns a running instance that has these clients and their names.
    pub fn with_clients(clients: &BTreeMap<String, DnsClient>) -> Self {
        Self {
            running: true,
            clients: clients
                .iter()
                .map(|(id, c)| (id.clone(), c.into()))
                .collect(),
            names: names_of(clients),
            ..Self::default()
        }
    }

    /// Returns whether its names are those of the clients, but for what the tenant has
    /// written itself.
    pub fn has_names_of(&self, clients: &BTreeMap<String, DnsClient>) -> bool {
        let mut wanted = names_of(clients);
        wanted.retain(|name, _| !self.own_names.contains(name));
        self.names == wanted
    }
}

/// Returns the names of clients with the addresses that they stand for.
pub fn names_of(clients: &BTreeMap<String, DnsClient>) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let names = clients
        .values()
        .map(|c| (c.host_name.clone(), c.addresses()));
    names.collect()
}

impl From<&DnsClient> for ObservedDnsClient {
    fn from(c: &DnsClient) -> Self {
        Self {
            name: c.name.clone(),
            addresses: [c.address].into(),
            policy: Some(c.policy),
        }
    }
}

/// A persistent client of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedDnsClient {
    /// Its device's name. Where a client of the tenant's own already has that
    /// name, ours gets a number behind it, which is left out here.
    pub name: String,
    /// Its other ids: the device's address.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// The policy that its switches express; `None` where they match none.
    pub policy: Option<FilterPolicy>,
}

/// A tenant's folder: the files we write, and whether they are as we wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedFolder {
    /// The content of each `wg<n>.conf` in it, hashed with
    /// [`content_hash`](crate::hash::content_hash).
    pub wg_confs: BTreeMap<String, u64>,
    /// The tunnel's public key in `keys/`, which identifies the tenant. A new
    /// tenant may have an earlier one's name, but must not get that one's folder.
    pub owner: Option<String>,
    /// AdGuard Home's configuration in it.
    pub dns_conf: DnsConf,
}

/// A tenant's AdGuard Home configuration on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsConf {
    /// The folder was not read since its container was created.
    #[default]
    Unread,
    /// It does not exist: a container that runs from it cannot store a change, and
    /// would start as an install wizard without a password.
    Missing,
    /// It exists. AdGuard Home replaces the file at every change, so another
    /// stamp means that its clients have to be read again.
    Present(FileStamp),
}

/// Distinguishes a file from an earlier one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// The file's number in its file system.
    pub inode: u64,
    /// When it was written, in nanoseconds since 1970.
    pub written: i128,
    /// Its length in bytes.
    pub length: u64,
}
