//! Reads a node's spec: everything it should run, in one snapshot.

use crate::{
    Result, Store, StoreError, TenantState,
    db::{Tx, fetch_all, fetch_optional, unsigned},
    devices::corrupt,
    nodes::{generation_in, parse_slot},
};
use domain::{DeviceId, DeviceLabel, NodeId, PrivateKey, PublicKey, QuotaState, Slot, TenantName};
use protocol::{DeviceSpec, NodeSpec, SpeedLimits, TenantLimits, TenantSpec};
use seal::Purpose;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The changes since a spec was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecChanges {
    /// The generation of the spec after these changes.
    pub generation: u64,
    /// New and changed tenants, complete, ordered by slot.
    pub changed: Vec<Arc<TenantSpec>>,
    /// Slots of the earlier spec that are free now.
    pub removed: BTreeSet<Slot>,
}

impl SpecChanges {
    /// Applies the changes to the spec that they were read for. A tenant that has
    /// not changed stays the same `Arc`.
    pub fn apply(self, spec: &mut NodeSpec) {
        spec.generation = self.generation;
        spec.tenants.retain(|slot, _| !self.removed.contains(slot));
        spec.tenants
            .extend(self.changed.into_iter().map(|t| (t.slot, t)));
    }
}

#[derive(sqlx::FromRow)]
struct TenantSpecRow {
    id: i64,
    username: String,
    slot: i64,
    wg_private_key: String,
    wg_public_key: String,
    state: String,
    dns_password: String,
    dns_password_hash: String,
    quota_state: String,
    down_bps: Option<i64>,
    up_bps: Option<i64>,
    slow_bps: i64,
}

#[derive(sqlx::FromRow)]
struct DeviceSpecRow {
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

pub(crate) const TENANTS: &str = "SELECT users.id, users.username, users.slot, \
     users.wg_private_key, users.wg_public_key, users.state, users.dns_password, \
     users.dns_password_hash, users.quota_state, plans.down_bps, plans.up_bps, plans.slow_bps \
     FROM users JOIN plans ON plans.id = users.plan \
     WHERE users.node_id = $1 AND users.generation >= $2 ORDER BY users.slot";

pub(crate) const DEVICES: &str = "SELECT peers.id, peers.user_id, peers.device_label, \
     peers.vpn_ip, peers.public_key, peers.preshared_key, peers.mesh_routing, \
     peers.dns_filtering_policy, peers.adguard_client_id \
     FROM peers JOIN users ON users.id = peers.user_id \
     WHERE users.node_id = $1 AND users.generation >= $2 ORDER BY users.slot, peers.id";

pub(crate) const TENANT_COUNT: &str = "SELECT COUNT(*) FROM users WHERE node_id = $1";
pub(crate) const TAKEN_SLOTS: &str = "SELECT slot FROM users WHERE node_id = $1";

/// Returns the limits in force: the plan's speeds, or the slow one in both directions
/// once the month's data are used up; `None` if the state is unreadable.
fn limits(r: &TenantSpecRow) -> Option<TenantLimits> {
    let state = QuotaState::parse(&r.quota_state)?;
    let speed = |plan: Option<i64>| {
        let slow = (state == QuotaState::Slowed).then_some(r.slow_bps);
        plan.into_iter().chain(slow).min().map(unsigned)
    };
    Some(TenantLimits {
        speed: SpeedLimits {
            down_bps: speed(r.down_bps),
            up_bps: speed(r.up_bps),
        },
        stopped: state == QuotaState::Stopped,
    })
}

impl Store {
    /// Reads the node's complete specification in one snapshot. A single
    /// unreadable row fails the call: without that tenant, the node would delete
    /// the tenant's tunnel.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] for an unknown node, and
    /// [`StoreError::Seal`] or [`StoreError::Corrupt`] for an unreadable row.
    pub async fn load_spec(&self, node: NodeId) -> Result<NodeSpec> {
        let mut tx = self.db.snapshot().await?;
        let generation = generation_in(&mut tx, node).await?;
        let tenants = self.spec_tenants(&mut tx, node, 0).await?;
        tx.commit().await?;
        Ok(NodeSpec {
            generation,
            tenants: tenants.into_iter().map(|t| (t.slot, t)).collect(),
        })
    }

    /// Reads the changes since a spec of generation `since` with the slots
    /// `known`. A change stores its generation with its tenant while it holds the
    /// node's row, so no change is missed between two reads; deleted tenants are
    /// detected by counting. If the database's generation is below `since`, a
    /// backup was restored and the earlier spec is useless: the result is that
    /// generation and no changes ([`raise_generation`](Self::raise_generation)).
    ///
    /// # Errors
    /// Returns the errors of [`load_spec`](Self::load_spec).
    pub async fn spec_changes(
        &self,
        node: NodeId,
        since: u64,
        known: &BTreeSet<Slot>,
    ) -> Result<SpecChanges> {
        let mut tx = self.db.snapshot().await?;
        let generation = generation_in(&mut tx, node).await?;
        if generation <= since {
            return Ok(SpecChanges {
                generation,
                changed: Vec::new(),
                removed: BTreeSet::new(),
            });
        }
        let from = i64::try_from(since).unwrap_or(i64::MAX).saturating_add(1);
        let changed = self.spec_tenants(&mut tx, node, from).await?;
        let new = changed.iter().filter(|t| !known.contains(&t.slot)).count();
        let count =
            fetch_optional!(tx.connection(), (i64,), TENANT_COUNT, node.0)?.map_or(0, |(n,)| n);
        let mut removed = BTreeSet::new();
        if usize::try_from(count) != Ok(known.len() + new) {
            let slots = fetch_all!(tx.connection(), (i64,), TAKEN_SLOTS, node.0)?;
            removed.clone_from(known);
            for slot in slots.into_iter().filter_map(|(n,)| parse_slot(n)) {
                removed.remove(&slot);
            }
        }
        tx.commit().await?;
        Ok(SpecChanges {
            generation,
            changed,
            removed,
        })
    }

    /// Reads the node's tenants that changed at generation `from` or later.
    async fn spec_tenants(
        &self,
        tx: &mut Tx,
        node: NodeId,
        from: i64,
    ) -> Result<Vec<Arc<TenantSpec>>> {
        let tenants = fetch_all!(tx.connection(), TenantSpecRow, TENANTS, node.0, from)?;
        let devices = fetch_all!(tx.connection(), DeviceSpecRow, DEVICES, node.0, from)?;
        // Both lists are ordered by slot, so the devices of a tenant are
        // consecutive.
        let mut devices = devices.into_iter().peekable();
        let mut spec = Vec::with_capacity(tenants.len());
        for row in tenants {
            let id = row.id;
            let mut tenant = self.tenant_spec(row)?;
            while let Some(d) = devices.next_if(|d| d.user_id == id) {
                tenant.devices.insert(DeviceId(d.id), self.device_spec(d)?);
            }
            spec.push(Arc::new(tenant));
        }
        Ok(spec)
    }

    fn tenant_spec(&self, r: TenantSpecRow) -> Result<TenantSpec> {
        let bad = |column| StoreError::Corrupt(format!("users.{column} of user {}", r.id));
        let key = self.open_key(Purpose::TunnelKey, &r.wg_public_key, &r.wg_private_key)?;
        let state = TenantState::parse(&r.state).ok_or_else(|| bad("state"))?;
        let limits = limits(&r).ok_or_else(|| bad("quota_state"))?;
        Ok(TenantSpec {
            name: TenantName::parse(&r.username).map_err(|_| bad("username"))?,
            slot: parse_slot(r.slot).ok_or_else(|| bad("slot"))?,
            private_key: PrivateKey::from_random(*key),
            suspended: state == TenantState::Suspended,
            dns_password: self.open_dns_password(&r.username, &r.dns_password)?,
            dns_password_hash: r.dns_password_hash,
            limits,
            devices: BTreeMap::new(),
        })
    }

    fn device_spec(&self, r: DeviceSpecRow) -> Result<DeviceSpec> {
        let bad = |column| corrupt(column, r.id);
        Ok(DeviceSpec {
            label: DeviceLabel::stored(&r.device_label),
            address: r.vpn_ip.parse().map_err(|_| bad("vpn_ip"))?,
            public_key: PublicKey::parse(&r.public_key).map_err(|_| bad("public_key"))?,
            preshared_key: self.open_preshared_key(&r.public_key, &r.preshared_key)?,
            mesh: r.mesh_routing != 0,
            policy: r
                .dns_filtering_policy
                .parse()
                .map_err(|_| bad("dns_filtering_policy"))?,
            client_id: r.adguard_client_id,
        })
    }
}
