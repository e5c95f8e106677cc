//! What a node should hold of one tenant.

use crate::exposed;
use domain::{
    DeviceId, DeviceLabel, FilterPolicy, Ipv6Subnet, PresharedKey, PrivateKey, PublicKey, Secret,
    Slot, TenantName,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// One tenant on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSpec {
    /// Unique in the installation.
    pub name: TenantName,
    /// The slot the tenant holds on this node.
    pub slot: Slot,
    /// The tunnel's private key.
    #[serde(with = "exposed")]
    pub private_key: PrivateKey,
    /// A suspended tenant keeps its slot and its files, and has no tunnel, no
    /// firewall elements and no container.
    pub suspended: bool,
    /// A tenant of which no device has connected yet keeps its tunnel, and has no container
    /// until it is used: its names are resolved without a filter. A node of an older version
    /// lets the container run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asleep: bool,
    /// The password our proxy presents to the tenant's AdGuard Home.
    #[serde(with = "exposed")]
    pub dns_password: Secret,
    /// The bcrypt hash of `dns_password`, as AdGuard Home stores it.
    pub dns_password_hash: String,
    /// What its plan and its use allow it at present. A spec of an older version has
    /// no limits.
    #[serde(default)]
    pub limits: TenantLimits,
    /// Its network of IPv6. A node of an older version gives its devices none, and drops
    /// what they send over IPv6; a spec of an older control plane has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Subnet>,
    /// The devices, by their id in the database.
    pub devices: BTreeMap<DeviceId, DeviceSpec>,
}

/// What a tenant is allowed at present. A node knows no plans and no months: the
/// control plane has already decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantLimits {
    /// The speed of all its devices together.
    pub speed: SpeedLimits,
    /// Whether its data are used up and its plan stops it then: its devices reach
    /// each other and DNS, and not the internet.
    pub stopped: bool,
}

/// Speed limits, in bits per second; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpeedLimits {
    /// Towards the devices.
    pub down_bps: Option<u64>,
    /// From the devices.
    pub up_bps: Option<u64>,
}

impl SpeedLimits {
    /// Returns whether neither direction is limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// One device of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// The name the tenant gave it.
    pub label: DeviceLabel,
    /// Its address inside the tunnel.
    pub address: Ipv4Addr,
    /// The WireGuard public key, which identifies the peer.
    pub public_key: PublicKey,
    /// The WireGuard preshared key.
    #[serde(with = "exposed")]
    pub preshared_key: PresharedKey,
    /// Whether the tenant's other mesh devices may reach it, and it them.
    pub mesh: bool,
    /// Which of AdGuard Home's filters apply.
    pub policy: FilterPolicy,
    /// The id that marks its persistent client in AdGuard Home as ours
    /// (`peers.adguard_client_id`, e.g. `mn-3f9a`).
    pub client_id: String,
}
