//! What a node should hold, whole, with a generation number, and its bytes.

use crate::exposed;
use domain::{
    DeviceId, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey, PublicKey, Secret, Slot,
    TenantName,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{collections::BTreeMap, io, net::Ipv4Addr, sync::Arc};
use zeroize::Zeroizing;

/// The version that [`NodeSpec::to_bytes`] writes.
const VERSION: u32 = 2;

/// Everything a node should hold. The node removes what carries our name or
/// label and is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Grows with every change.
    pub generation: u64,
    /// The tenants, by slot. A tenant that has not changed since the last spec
    /// is the same `Arc`.
    #[serde(with = "by_slot")]
    pub tenants: BTreeMap<Slot, Arc<TenantSpec>>,
}

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
    /// The password our proxy presents to the tenant's AdGuard Home.
    #[serde(with = "exposed")]
    pub dns_password: Secret,
    /// The bcrypt hash of `dns_password`, as AdGuard Home stores it.
    pub dns_password_hash: String,
    /// What its plan and its use allow it at present. A spec of an older version has
    /// no limits.
    #[serde(default)]
    pub limits: TenantLimits,
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

/// Why bytes are no spec. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// They were written by a newer version.
    #[error("the spec has version {0}; this program reads up to {VERSION}")]
    Newer(u32),
    /// They are damaged, or never were a spec. Only the place is named: serde's
    /// message may quote the value that it found there, which may be a key.
    #[error("the bytes are no spec (line {line}, column {column})")]
    Damaged {
        /// The line, from 1; 0 if no place is known.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
}

impl SpecError {
    fn damaged(e: &serde_json::Error) -> Self {
        Self::Damaged {
            line: e.line(),
            column: e.column(),
        }
    }
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    #[serde(flatten)]
    spec: &'a NodeSpec,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl NodeSpec {
    /// Returns the spec as JSON with its version. Holds every private key.
    ///
    /// # Errors
    /// Never for a spec that this program made; serde's signature has one.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, SpecError> {
        let written = Written {
            version: VERSION,
            spec: self,
        };
        // Counted first: a vector that grows leaves copies of keys behind.
        let mut size = ByteCount(0);
        serde_json::to_writer(&mut size, &written).map_err(|e| SpecError::damaged(&e))?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(size.0));
        serde_json::to_writer(&mut *bytes, &written).map_err(|e| SpecError::damaged(&e))?;
        Ok(bytes)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) of this version or an older one wrote.
    ///
    /// # Errors
    /// [`SpecError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SpecError> {
        // The version first: a newer one may differ in everything else.
        let Version { version } =
            serde_json::from_slice(bytes).map_err(|e| SpecError::damaged(&e))?;
        if version > VERSION {
            return Err(SpecError::Newer(version));
        }
        serde_json::from_slice(bytes).map_err(|e| SpecError::damaged(&e))
    }
}

/// Counts the bytes that are written to it.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The tenants as a list: each holds its slot itself.
mod by_slot {
    use super::*;

    type Tenants = BTreeMap<Slot, Arc<TenantSpec>>;

    pub(super) fn serialize<S: Serializer>(tenants: &Tenants, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(tenants.values().map(Arc::as_ref))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tenants, D::Error> {
        let mut tenants = Tenants::new();
        for tenant in Vec::<TenantSpec>::deserialize(from)? {
            let slot = tenant.slot;
            if tenants.insert(slot, Arc::new(tenant)).is_some() {
                return Err(D::Error::custom(format!("slot {slot} is held twice")));
            }
        }
        Ok(tenants)
    }
}
