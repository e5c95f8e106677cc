//! What each port needs of a node's spec, and the settings of the node itself. Made from
//! a tenant of the spec by [`crate::derive`].

pub use crate::packet_rate::PacketRate;

use crate::hash::content_hash;
use domain::{
    AddressPlan, FilterPolicy, Ipv6Subnet, PresharedKey, PrivateKey, PublicKey, Secret, Slot,
    TenantName, marks::container_user,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

/// The settings that do not change while a node runs: ranges, folders, limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// The address ranges.
    pub addresses: AddressPlan,
    /// Whether the kernel has IPv6 at all. Without it (`ipv6.disable=1`) tunnels have IPv4
    /// alone.
    pub ipv6: bool,
    /// The root of the disk layout, default `/etc/maliknode`.
    pub root: PathBuf,
    /// A container's memory limit in bytes.
    pub dns_memory_bytes: u64,
    /// A container's limit on CPU time, in thousandths of a CPU; 0 sets none.
    pub dns_cpu_thousandths: u32,
    /// Encrypted packets per second of a tenant whose plan leaves a direction's speed
    /// unlimited.
    pub tunnel_packets: PacketRate,
    /// The AdGuard Home image, with its tag.
    pub image: String,
    /// The plain resolver that tunnels use for DNS while there is no image.
    pub fallback_dns: Ipv4Addr,
    /// Whether tenants' folders have the private and preshared keys in files.
    pub key_files: bool,
}

impl NodeSettings {
    /// Returns the tenant's folder: `<root>/users/user_<name>`.
    pub fn tenant_dir(&self, name: &TenantName) -> PathBuf {
        self.users_dir().join(name.folder())
    }

    /// Returns the folder that contains all tenants' folders.
    pub fn users_dir(&self) -> PathBuf {
        self.root.join("users")
    }

    /// Returns the folder of the block lists that every container reads: `<root>/lists`.
    pub fn lists_dir(&self) -> PathBuf {
        self.root.join("lists")
    }
}

/// The interface a tenant should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSpec {
    /// The slot, which determines name and port.
    pub slot: Slot,
    /// The owner mark, stored as the link's alias.
    pub owner: String,
    /// The tunnel's private key.
    pub private_key: PrivateKey,
    /// Gateway address with the subnet's prefix, e.g. `10.88.1.1/24`.
    pub address: Ipv4Net,
    /// The same of IPv6, if the tunnel has it.
    pub address6: Option<Ipv6Net>,
    /// The devices, by public key.
    pub peers: BTreeMap<PublicKey, PeerSpec>,
}

impl InterfaceSpec {
    /// Returns the addresses that the interface should have, with their prefixes.
    pub fn addresses(&self) -> BTreeSet<IpNet> {
        let of_ipv6 = self.address6.map(IpNet::V6);
        [IpNet::V4(self.address)]
            .into_iter()
            .chain(of_ipv6)
            .collect()
    }
}

/// The peer that WireGuard should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSpec {
    /// The preshared key.
    pub preshared_key: PresharedKey,
    /// The address inside the tunnel.
    pub address: Ipv4Addr,
    /// The same of IPv6, if the tunnel has it.
    pub address6: Option<Ipv6Addr>,
}

impl PeerSpec {
    /// Returns the addresses inside the tunnel.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let of_ipv6 = self.address6.map(IpAddr::V6);
        [IpAddr::V4(self.address)].into_iter().chain(of_ipv6)
    }

    /// Returns the networks that the peer may send from: its own addresses.
    pub fn allowed_ips(&self) -> BTreeSet<IpNet> {
        self.addresses().map(IpNet::from).collect()
    }
}

/// A tenant's elements in the firewall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirewallTenant {
    /// The slot, which determines the interface's name.
    pub slot: Slot,
    /// The subnet, e.g. `10.88.1.0/24`.
    pub subnet: Ipv4Net,
    /// The gateway, e.g. `10.88.1.1`.
    pub gateway: Ipv4Addr,
    /// Where DNS queries to the gateway are sent: the container, or the fallback.
    /// `None` while the slot's container may be an earlier tenant's: they are not
    /// answered then.
    pub dns: Option<Ipv4Addr>,
    /// Devices that may reach each other.
    pub mesh: BTreeSet<Ipv4Addr>,
    /// Devices whose policy is a lock: they reach no other resolver.
    pub locked: BTreeSet<Ipv4Addr>,
    /// The subnet of IPv6, if the tunnel has it.
    pub subnet6: Option<Ipv6Subnet>,
    /// The addresses of IPv6 of the devices that may reach each other.
    pub mesh6: BTreeSet<Ipv6Addr>,
    /// The addresses of IPv6 of the devices whose policy is a lock.
    pub locked6: BTreeSet<Ipv6Addr>,
    /// Whether nothing of it goes out to the internet, because its data are used up.
    pub stopped: bool,
    /// Encrypted packets per second that its devices may send together.
    pub tunnel_packets: PacketRate,
}

/// The container a tenant should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSpec {
    /// The slot.
    pub slot: Slot,
    /// The tenant, which determines the container's published name,
    /// `adguard_user_<name>`. The engine's name is another: [`docker_name`].
    pub tenant: TenantName,
    /// The image with its tag.
    pub image: String,
    /// The fixed address on our bridge.
    pub address: Ipv4Addr,
    /// Host folder mounted at `/opt/adguardhome/conf`.
    pub conf_dir: PathBuf,
    /// Host folder mounted at `/opt/adguardhome/work`.
    pub work_dir: PathBuf,
    /// Host folder mounted read-only at `/lists`.
    pub lists_dir: PathBuf,
    /// Memory limit in bytes.
    pub memory_bytes: u64,
    /// Limit on CPU time, in thousandths of a CPU; 0 sets none.
    pub cpu_thousandths: u32,
    /// The tunnel's public key. It distinguishes the tenant from an earlier one of the
    /// same name.
    pub owner: PublicKey,
}

/// The prefix of our containers' names in the engine; 16 hexadecimal digits follow.
pub const DOCKER_NAME_PREFIX: &str = "adguard_";

/// Returns the engine's name of the container of the tenant with this public key. It
/// says nothing of the tenant: Docker's resolver (127.0.0.11 in every container)
/// answers the reverse look-up of any container's address with its name.
pub fn docker_name(owner: &PublicKey) -> String {
    let hash = content_hash(owner.to_string().as_bytes());
    format!("{DOCKER_NAME_PREFIX}{hash:016x}")
}

/// Returns whether a name has the form of [`docker_name`].
pub fn is_docker_name(name: &str) -> bool {
    let digits = name.strip_prefix(DOCKER_NAME_PREFIX);
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    digits.is_some_and(|d| d.len() == 16 && d.bytes().all(is_digit))
}

impl ContainerSpec {
    /// Returns the container's name in the engine.
    pub fn docker_name(&self) -> String {
        docker_name(&self.owner)
    }

    /// Returns the user and the group that the container's processes run as.
    pub fn user(&self) -> u32 {
        container_user(self.slot)
    }

    /// Returns the container's hardware address, `02:42:` and its IPv4 address. The
    /// firewall holds a container to it.
    pub fn mac_address(&self) -> String {
        let [a, b, c, d] = self.address.octets();
        format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }

    /// Returns the revision, which changes whenever the container has to be replaced and
    /// is stored as a label: a hash of the tenant's key, a hyphen, a hash of everything
    /// but the image, a dot, a hash of the image.
    pub fn revision(&self) -> String {
        format!(
            "{:016x}-{}.{:016x}",
            content_hash(self.owner.to_string().as_bytes()),
            self.own_revision(),
            content_hash(self.image.as_bytes())
        )
    }

    /// Returns whether a container of this revision may stay: see
    /// [`is_fitting_revision`].
    pub fn is_fitting(&self, revision: &str, image: bool) -> bool {
        is_fitting_revision(&self.revision(), revision, image)
    }

    fn own_revision(&self) -> String {
        let text = format!(
            "3|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}",
            self.slot,
            self.tenant,
            self.address,
            self.conf_dir.display(),
            self.work_dir.display(),
            self.lists_dir.display(),
            self.memory_bytes,
            self.cpu_thousandths,
            self.user(),
            self.mac_address(),
            self.owner
        );
        format!("{:016x}", content_hash(text.as_bytes()))
    }
}

/// Returns whether a container of the revision `found` may stay where one of `wanted`
/// is wanted. Where the engine lacks the image (`image` is false), one of another image
/// may: a new one could not be created, and the tenant would be without a filter.
pub fn is_fitting_revision(wanted: &str, found: &str, image: bool) -> bool {
    let own = |(own, _image)| own;
    let (found_own, wanted_own) = (found.split_once('.'), wanted.split_once('.'));
    let same_but_image = found_own.is_some() && found_own.map(own) == wanted_own.map(own);
    found == wanted || !image && same_but_image
}

/// Returns whether a container of this revision belongs to the tenant whose tunnel has
/// this key; `None` for a revision of an older version, which names no tenant.
pub fn is_owners_revision(owner: &PublicKey, revision: &str) -> Option<bool> {
    let (of, _) = revision.split_once('-')?;
    let own = format!("{:016x}", content_hash(owner.to_string().as_bytes()));
    Some(of == own)
}

/// Returns whether two containers of these revisions belong to the same tenant. A
/// revision of an older version names no tenant and belongs to none.
pub fn is_same_tenants_revision(a: &str, b: &str) -> bool {
    let owner = |revision: &str| revision.split_once('-').map(|(owner, _)| owner.to_owned());
    owner(a).is_some() && owner(a) == owner(b)
}

/// A tenant's AdGuard Home: how to reach its API, and where its files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsInstance {
    /// The slot.
    pub slot: Slot,
    /// The container's address: DNS on 53, API and UI on 3000.
    pub address: Ipv4Addr,
    /// The tenant's subnet. Only clients in it get answers.
    pub subnet: Ipv4Net,
    /// Its network of IPv6, whether or not tunnels on this node have it.
    pub subnet6: Option<Ipv6Subnet>,
    /// The domain that its devices' names are in.
    pub domain: String,
    /// The user that we and our proxy sign in as: always `tenant`.
    pub user: &'static str,
    /// That user's password.
    pub password: Secret,
    /// Its bcrypt hash.
    pub password_hash: String,
    /// Host folder of its configuration.
    pub conf_dir: PathBuf,
    /// Host folder of its data.
    pub work_dir: PathBuf,
    /// The image that it is started from, with its tag.
    pub image: String,
}

impl DnsInstance {
    /// Returns the user and the group that own its files.
    pub fn file_owner(&self) -> u32 {
        container_user(self.slot)
    }
}

/// A persistent client that AdGuard Home should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsClient {
    /// Its name in AdGuard Home: the device's label.
    pub name: String,
    /// The device's address.
    pub address: Ipv4Addr,
    /// The same of IPv6, if tunnels have it.
    pub address6: Option<Ipv6Addr>,
    /// Its filter policy.
    pub policy: FilterPolicy,
    /// The device's name inside the tunnel.
    pub host_name: String,
}

impl DnsClient {
    /// Returns the addresses that its name stands for.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        let address6 = self.address6.map(IpAddr::V6);
        [IpAddr::V4(self.address)]
            .into_iter()
            .chain(address6)
            .collect()
    }
}

/// Returns the path of a tenant's `wg<n>.conf`.
pub fn wg_conf_path(tenant_dir: &Path, slot: Slot) -> PathBuf {
    tenant_dir.join(format!("{}.conf", slot.interface()))
}
