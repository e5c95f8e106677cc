//! Everything a node should hold, read in one snapshot.

use crate::{
    Purpose, Result, Store, StoreError, TenantState,
    db::{Tx, fetch_all, fetch_optional},
    devices::corrupt,
    tenants::parse_slot,
};
use domain::{
    DeviceId, DeviceLabel, FilterPolicy, NodeId, PresharedKey, PrivateKey, PublicKey, Secret, Slot,
    TenantId, TenantName,
};
use std::{collections::BTreeSet, net::Ipv4Addr};

/// What a node should hold, with the generation it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecSnapshot {
    /// Grows with every change.
    pub generation: u64,
    /// The tenants, by slot.
    pub tenants: Vec<SpecTenant>,
}

/// What came since a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecChanges {
    /// The generation that the snapshot has with these changes.
    pub generation: u64,
    /// Tenants that came or changed, whole, by slot.
    pub changed: Vec<SpecTenant>,
    /// Slots of the snapshot that nobody holds any more.
    pub gone: BTreeSet<Slot>,
}

/// A tenant, keys unsealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecTenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: TenantName,
    /// Its slot.
    pub slot: Slot,
    /// The tunnel's private key.
    pub private_key: PrivateKey,
    /// Whether it keeps its slot without being served.
    pub suspended: bool,
    /// The password our proxy presents to its AdGuard Home.
    pub dns_password: Secret,
    /// Its bcrypt hash.
    pub dns_password_hash: String,
    /// Its devices, oldest first.
    pub devices: Vec<SpecDevice>,
}

/// A device, key unsealed. Its private key is not needed, so it stays sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecDevice {
    /// Its id.
    pub id: DeviceId,
    /// What the tenant calls it.
    pub label: DeviceLabel,
    /// Its address inside the tunnel.
    pub address: Ipv4Addr,
    /// Its identity.
    pub public_key: PublicKey,
    /// Its symmetric layer.
    pub preshared_key: PresharedKey,
    /// Whether other mesh devices may reach it, and it them.
    pub mesh: bool,
    /// What its DNS filter does.
    pub policy: FilterPolicy,
    /// The id of its client in AdGuard Home.
    pub client_id: String,
}

#[derive(sqlx::FromRow)]
struct TenantRow {
    id: i64,
    username: String,
    slot: i64,
    wg_private_key: String,
    wg_public_key: String,
    state: String,
    dns_password: String,
    dns_password_hash: String,
}

#[derive(sqlx::FromRow)]
struct DeviceRow {
    id: i64,
    user_id: i64,
    device_label: String,
    vpn_ip: String,
    public_key: String,
    preshared_key: String,
    mesh_routing: i64,
    dns_filtering_policy: String,
    adguard_client_id: String,
}

pub(crate) const TENANTS: &str = "SELECT id, username, slot, wg_private_key, wg_public_key, \
     state, dns_password, dns_password_hash FROM users \
     WHERE node_id = $1 AND generation >= $2 ORDER BY slot";

pub(crate) const DEVICES: &str = "SELECT peers.id, peers.user_id, peers.device_label, \
     peers.vpn_ip, peers.public_key, peers.preshared_key, peers.mesh_routing, \
     peers.dns_filtering_policy, peers.adguard_client_id \
     FROM peers JOIN users ON users.id = peers.user_id \
     WHERE users.node_id = $1 AND users.generation >= $2 ORDER BY users.slot, peers.id";

pub(crate) const HELD: &str = "SELECT COUNT(*) FROM users WHERE node_id = $1";
pub(crate) const SLOTS: &str = "SELECT slot FROM users WHERE node_id = $1";

const GENERATION: &str = "SELECT generation FROM nodes WHERE id = $1";

impl Store {
    /// The node's generation: where it has not grown since the last
    /// [`load_spec`](Self::load_spec), there is nothing new to load.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a node that is not known.
    pub async fn generation(&self, node: NodeId) -> Result<u64> {
        let row = fetch_optional!(self.db.reader(), (i64,), GENERATION, node.0)?;
        Ok(unsigned(row.ok_or(StoreError::NotFound)?.0))
    }

    /// Everything the node should hold, of one moment. One row that cannot be
    /// read fails the whole: a spec without its tenant would delete the
    /// tenant's tunnel.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a node that is not known;
    /// [`StoreError::Seal`] or [`StoreError::Corrupt`], naming the row.
    pub async fn load_spec(&self, node: NodeId) -> Result<SpecSnapshot> {
        let mut tx = self.db.snapshot().await?;
        let generation = fetch_optional!(tx.on(), (i64,), GENERATION, node.0)?;
        let generation = unsigned(generation.ok_or(StoreError::NotFound)?.0);
        let tenants = self.spec_tenants(&mut tx, node, 0).await?;
        tx.commit().await?;
        Ok(SpecSnapshot {
            generation,
            tenants,
        })
    }

    /// What came since a snapshot of generation `since` that has the slots
    /// `kept`. Every change notes its generation at its tenant while it holds
    /// the node's row, so none is missed between two reads; a tenant who left
    /// is found by counting. A generation below `since` is told as it is, with
    /// no changes: the database was put back, and the snapshot is of no use.
    ///
    /// # Errors
    /// As [`load_spec`](Self::load_spec).
    pub async fn spec_changes(
        &self,
        node: NodeId,
        since: u64,
        kept: &BTreeSet<Slot>,
    ) -> Result<SpecChanges> {
        let mut tx = self.db.snapshot().await?;
        let generation = fetch_optional!(tx.on(), (i64,), GENERATION, node.0)?;
        let generation = unsigned(generation.ok_or(StoreError::NotFound)?.0);
        if generation <= since {
            return Ok(SpecChanges {
                generation,
                changed: Vec::new(),
                gone: BTreeSet::new(),
            });
        }
        let from = i64::try_from(since).unwrap_or(i64::MAX).saturating_add(1);
        let changed = self.spec_tenants(&mut tx, node, from).await?;
        let new = changed.iter().filter(|t| !kept.contains(&t.slot)).count();
        let held = fetch_optional!(tx.on(), (i64,), HELD, node.0)?.map_or(0, |(n,)| n);
        let mut gone = BTreeSet::new();
        if usize::try_from(held) != Ok(kept.len() + new) {
            let slots = fetch_all!(tx.on(), (i64,), SLOTS, node.0)?;
            gone.clone_from(kept);
            for slot in slots.into_iter().filter_map(|(n,)| parse_slot(n)) {
                gone.remove(&slot);
            }
        }
        tx.commit().await?;
        Ok(SpecChanges {
            generation,
            changed,
            gone,
        })
    }

    /// The node's tenants that changed at generation `from` or later.
    async fn spec_tenants(&self, tx: &mut Tx, node: NodeId, from: i64) -> Result<Vec<SpecTenant>> {
        let tenants = fetch_all!(tx.on(), TenantRow, TENANTS, node.0, from)?;
        let devices = fetch_all!(tx.on(), DeviceRow, DEVICES, node.0, from)?;
        // Both lists are in the order of slots, so the devices of a tenant are
        // the next ones in line.
        let mut devices = devices.into_iter().peekable();
        let mut spec = Vec::with_capacity(tenants.len());
        for row in tenants {
            let id = row.id;
            let mut tenant = self.spec_tenant(row)?;
            while let Some(d) = devices.next_if(|d| d.user_id == id) {
                tenant.devices.push(self.spec_device(d)?);
            }
            spec.push(tenant);
        }
        Ok(spec)
    }

    fn spec_tenant(&self, r: TenantRow) -> Result<SpecTenant> {
        let bad = |column| StoreError::Corrupt(format!("users.{column} of user {}", r.id));
        let key = self.open_key(Purpose::TunnelKey, &r.wg_public_key, &r.wg_private_key)?;
        let state = TenantState::parse(&r.state).ok_or_else(|| bad("state"))?;
        Ok(SpecTenant {
            id: TenantId(r.id),
            name: TenantName::parse(&r.username).map_err(|_| bad("username"))?,
            slot: parse_slot(r.slot).ok_or_else(|| bad("slot"))?,
            private_key: PrivateKey::from_random(*key),
            suspended: state == TenantState::Suspended,
            dns_password: self.open_dns_password(&r.username, &r.dns_password)?,
            dns_password_hash: r.dns_password_hash,
            devices: Vec::new(),
        })
    }

    fn spec_device(&self, r: DeviceRow) -> Result<SpecDevice> {
        let bad = |column| corrupt(column, r.id);
        Ok(SpecDevice {
            id: DeviceId(r.id),
            label: DeviceLabel::stored(&r.device_label),
            address: r.vpn_ip.parse().map_err(|_| bad("vpn_ip"))?,
            public_key: PublicKey::parse(&r.public_key).map_err(|_| bad("public_key"))?,
            preshared_key: self.open_preshared(&r.public_key, &r.preshared_key)?,
            mesh: r.mesh_routing != 0,
            policy: r
                .dns_filtering_policy
                .parse()
                .map_err(|_| bad("dns_filtering_policy"))?,
            client_id: r.adguard_client_id,
        })
    }
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
