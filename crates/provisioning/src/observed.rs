//! What a node holds, as far as it could be read. What could not be read is
//! *unknown*, never empty: nothing is deleted because a socket did not answer.

use crate::{ports::PortError, spec::FirewallTenant};
use domain::{FilterPolicy, PresharedKey, PublicKey, Slot, Timestamp};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
};

/// Something read from the machine, or why it could not be.
#[derive(Clone, Debug)]
pub enum Known<T> {
    /// It was read.
    Known(T),
    /// It could not be read.
    Unknown(Arc<PortError>),
}

impl<T> Known<T> {
    /// What was read, if it was.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Known::Known(t) => Some(t),
            Known::Unknown(_) => None,
        }
    }

    /// Why it was not read, if it was not.
    pub fn error(&self) -> Option<&PortError> {
        match self {
            Known::Known(_) => None,
            Known::Unknown(e) => Some(e),
        }
    }
}

impl<T> From<Result<T, PortError>> for Known<T> {
    fn from(r: Result<T, PortError>) -> Self {
        match r {
            Ok(t) => Known::Known(t),
            Err(e) => Known::Unknown(Arc::new(e)),
        }
    }
}

/// Everything a plan is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Interfaces whose names are slots'.
    pub wireguard: Known<BTreeMap<Slot, ObservedInterface>>,
    /// Our table.
    pub firewall: Known<ObservedFirewall>,
    /// The image and the containers.
    pub containers: Known<ObservedContainers>,
    /// What each running container's AdGuard Home said.
    pub dns: BTreeMap<Slot, Known<ObservedDns>>,
    /// Folders below `users/`, by their names, with what they hold.
    pub folders: Known<BTreeMap<String, ObservedFolder>>,
}

/// An interface with a slot's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedInterface {
    /// The mark on it (the link's alias); `None` is somebody else's.
    pub owner: Option<String>,
    /// Its public key, if it has a key.
    pub public_key: Option<PublicKey>,
    /// Its UDP port.
    pub listen_port: u16,
    /// Its IPv4 addresses with their prefixes.
    pub addresses: BTreeSet<ipnet::Ipv4Net>,
    /// Whether the link is up.
    pub up: bool,
    /// Its peers.
    pub peers: BTreeMap<PublicKey, ObservedPeer>,
}

/// A peer as WireGuard has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPeer {
    /// The symmetric layer, if one is set.
    pub preshared_key: Option<PresharedKey>,
    /// What it may send from.
    pub allowed_ips: BTreeSet<IpNet>,
}

/// A peer's counters, as WireGuard counts: `rx` came from the device, `tx`
/// went to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatistics {
    /// The interface's slot.
    pub slot: Slot,
    /// The peer.
    pub public_key: PublicKey,
    /// The last handshake, if there was one.
    pub last_handshake: Option<Timestamp>,
    /// Where its packets came from last.
    pub endpoint: Option<std::net::SocketAddr>,
    /// Bytes received from it since the interface was made.
    pub rx_bytes: u64,
    /// Bytes sent to it since the interface was made.
    pub tx_bytes: u64,
}

/// Our nftables table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedFirewall {
    /// Whether the table stands with the rules this version writes.
    pub complete: bool,
    /// The tenants in its sets. A tenant with part of its elements only is
    /// here with what there is, so that it differs from its spec.
    pub tenants: BTreeMap<Slot, ObservedFirewallTenant>,
}

/// A tenant's elements as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedFirewallTenant {
    /// Subnets listed for its interface.
    pub subnets: BTreeSet<ipnet::Ipv4Net>,
    /// Gateways listed for its interface.
    pub gateways: BTreeSet<Ipv4Addr>,
    /// Where its DNS goes, if anywhere.
    pub dns: Option<Ipv4Addr>,
    /// Mesh members listed for its interface.
    pub mesh: BTreeSet<Ipv4Addr>,
    /// Whether its interface is in the set of our interfaces.
    pub listed: bool,
}

impl ObservedFirewallTenant {
    /// What a tenant's elements look like once they are in force.
    pub fn of(t: &FirewallTenant) -> Self {
        Self {
            subnets: [t.subnet].into(),
            gateways: [t.gateway].into(),
            dns: Some(t.dns),
            mesh: t.mesh.clone(),
            listed: true,
        }
    }
}

/// The image and the containers with our label or our names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedContainers {
    /// Whether the image is in the engine.
    pub image: bool,
    /// Containers with our label.
    pub ours: Vec<ObservedContainer>,
    /// Names of the form `adguard_user_*` that carry no label of ours.
    pub foreign: BTreeSet<String>,
}

/// A container with our label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedContainer {
    /// The engine's id.
    pub id: String,
    /// Its name, without the leading slash.
    pub name: String,
    /// The slot on its label.
    pub slot: Option<Slot>,
    /// The revision on its label (`ContainerSpec::revision`).
    pub revision: String,
    /// What it does.
    pub state: ContainerState,
}

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// It runs.
    Running,
    /// It was made and never started, or has ended.
    Stopped,
    /// The engine is starting it again after it failed.
    Restarting,
    /// Somebody paused it.
    Paused,
    /// The engine is removing it.
    Removing,
    /// The engine failed to remove it, and calls it dead.
    Dead,
}

/// What a tenant's AdGuard Home said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedDns {
    /// `running` of `GET /control/status`: DNS answers.
    pub running: bool,
    /// Persistent clients with an id of ours (`mn-…`), by that id. A tenant's
    /// own clients are not listed: we do not touch them.
    pub clients: BTreeMap<String, ObservedDnsClient>,
}

/// A persistent client of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedDnsClient {
    /// Its device's name: where a client of the tenant's own has that already,
    /// ours has a number behind it, which is not told here.
    pub name: String,
    /// Its other ids: the device's address.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// The policy whose switches are set; `None` where they match none.
    pub policy: Option<FilterPolicy>,
}

/// A tenant's folder: the files we write, and whether they are as we wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedFolder {
    /// Content of each `wg<n>.conf` in it, hashed with [`content_hash`].
    pub wg_confs: BTreeMap<String, u64>,
    /// The tunnel's public key in `keys/`: whose folder it is. A new tenant may
    /// have an old one's name; their folder is not his.
    pub owner: Option<String>,
}

/// The hash by which written files are compared (FNV-1a, 64 bit).
pub fn content_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}
