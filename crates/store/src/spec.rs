//! Reads a node's spec: everything it should run, in one snapshot. A tenant whose rows
//! cannot be read is told from one that does not exist: the node leaves what such a
//! tenant has as it is, and the others go on.

use crate::{
    Result, Store, StoreError, TenantState,
    db::{Tx, fetch_all, fetch_optional, unsigned},
    devices::corrupt,
    moves,
    nodes::{generation_in, parse_slot},
};
use domain::{DeviceId, DeviceLabel, NodeId, PrivateKey, PublicKey, QuotaState, Slot, TenantName};
use protocol::{
    DeviceSpec, NodeSpec, SpecChanges, SpeedLimits, TenantLimits, TenantSpec, UnreadableTenant,
};
use seal::Purpose;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A tenant's row. Only its id and its slot have to be readable: a file that was
/// damaged may hold bytes in a column that are no text.
struct TenantRow {
    id: i64,
    slot: i64,
    username: Option<String>,
    wg_public_key: Option<String>,
    row: sqlx::Result<TenantSpecRow>,
}

impl<'r, R: Row> FromRow<'r, R> for TenantRow
where
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    TenantSpecRow: FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            slot: row.try_get("slot")?,
            username: row.try_get("username").ok(),
            wg_public_key: row.try_get("wg_public_key").ok(),
            row: TenantSpecRow::from_row(row),
        })
    }
}

/// A device's row, of which only the tenant has to be readable.
struct DeviceRow {
    user_id: i64,
    row: sqlx::Result<DeviceSpecRow>,
}

impl<'r, R: Row> FromRow<'r, R> for DeviceRow
where
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    DeviceSpecRow: FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            user_id: row.try_get("user_id")?,
            row: DeviceSpecRow::from_row(row),
        })
    }
}

#[derive(sqlx::FromRow)]
struct TenantSpecRow {
    id: i64,
    username: String,
    wg_private_key: String,
    wg_public_key: String,
    state: String,
    asleep_since: Option<i64>,
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
    device_label: String,
    vpn_ip: String,
    public_key: String,
    preshared_key: String,
    mesh_routing: i64,
    dns_filtering_policy: String,
    adguard_client_id: String,
}

pub(crate) const TENANTS: &str = "SELECT users.id, users.username, users.slot, \
     users.wg_private_key, users.wg_public_key, users.state, users.asleep_since, users.dns_password, \
     users.dns_password_hash, users.quota_state, plans.down_bps, plans.up_bps, plans.slow_bps \
     FROM users LEFT JOIN plans ON plans.id = users.plan \
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

/// So many tenants are unsealed and decoded before other tasks may go on.
const DECODED_AT_ONCE: usize = 16;

/// The tenants of a reading, by slot.
#[derive(Default)]
struct Tenants {
    read: BTreeMap<Slot, Arc<TenantSpec>>,
    unreadable: BTreeMap<Slot, UnreadableTenant>,
}

/// Returns what is known of a tenant, by its name and its public key, that cannot be
/// read.
fn unreadable(
    (name, public_key): (Option<String>, Option<String>),
    e: &StoreError,
) -> UnreadableTenant {
    let name = name.and_then(|name| TenantName::parse(&name).ok());
    let owner = public_key.and_then(|key| PublicKey::parse(&key).ok());
    let place = match e {
        StoreError::Corrupt(place) => place.clone(),
        other => other.to_string(),
    };
    UnreadableTenant { name, owner, place }
}

impl Store {
    /// Reads the node's complete specification in one snapshot. A tenant of which a
    /// row cannot be read is in [`NodeSpec::unreadable`].
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] for an unknown node, and
    /// [`StoreError::Corrupt`] for a tenant whose slot is unreadable.
    pub async fn load_spec(&self, node: NodeId) -> Result<NodeSpec> {
        let mut tx = self.db.snapshot().await?;
        let generation = generation_in(&mut tx, node).await?;
        let tenants = self.spec_tenants(&mut tx, node, 0).await?;
        let moved = moves::moved_from(&mut tx, node).await?;
        tx.commit().await?;
        Ok(NodeSpec {
            generation,
            tenants: tenants.read,
            unreadable: tenants.unreadable,
            moved,
            is_earlier: false,
        })
    }

    /// Reads the changes since a spec of generation `since` with the slots
    /// `known`, the unreadable ones included. A change stores its generation with its
    /// tenant while it holds the node's row, so no change is missed between two reads;
    /// deleted tenants are detected by counting. If the database's generation is below
    /// `since`, a backup was restored and the earlier spec is useless: the result is
    /// that generation and no changes ([`raise_generation`](Self::raise_generation)).
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
                unreadable: BTreeMap::new(),
                removed: BTreeSet::new(),
                moved: None,
            });
        }
        let from = i64::try_from(since).unwrap_or(i64::MAX).saturating_add(1);
        let changed = self.spec_tenants(&mut tx, node, from).await?;
        let slots = changed.read.keys().chain(changed.unreadable.keys());
        let new = slots.filter(|slot| !known.contains(slot)).count();
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
        let moved = moves::moved_from(&mut tx, node).await?;
        tx.commit().await?;
        Ok(SpecChanges {
            generation,
            changed: changed.read.into_values().collect(),
            unreadable: changed.unreadable,
            removed,
            moved: Some(moved),
        })
    }

    /// Reads the node's tenants that changed at generation `from` or later.
    async fn spec_tenants(&self, tx: &mut Tx, node: NodeId, from: i64) -> Result<Tenants> {
        let prefix = self.ipv6_prefix_in(tx).await?;
        let tenants = fetch_all!(tx.connection(), TenantRow, TENANTS, node.0, from)?;
        let devices = fetch_all!(tx.connection(), DeviceRow, DEVICES, node.0, from)?;
        // Both lists are ordered by slot, so the devices of a tenant are
        // consecutive.
        let mut devices = devices.into_iter().peekable();
        let mut spec = Tenants::default();
        for (n, t) in tenants.into_iter().enumerate() {
            // A thousand tenants with their devices take a tenth of a second: pages are made by
            // the same threads.
            if n % DECODED_AT_ONCE == DECODED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let slot = parse_slot(t.slot)
                .ok_or_else(|| StoreError::Corrupt(format!("users.slot of user {}", t.id)))?;
            let rows: Vec<DeviceRow> =
                std::iter::from_fn(|| devices.next_if(|d| d.user_id == t.id)).collect();
            let identity = (t.username, t.wg_public_key);
            match self.whole_tenant(t.id, slot, t.row, rows) {
                Ok(mut tenant) => {
                    tenant.ipv6 = prefix.map(|prefix| prefix.subnet(slot));
                    drop(spec.read.insert(slot, Arc::new(tenant)));
                }
                Err(e) => {
                    tracing::warn!(%slot, tenant = t.id, error = ?e, "a tenant cannot be read");
                    spec.unreadable.insert(slot, unreadable(identity, &e));
                }
            }
        }
        Ok(spec)
    }

    fn whole_tenant(
        &self,
        id: i64,
        slot: Slot,
        row: sqlx::Result<TenantSpecRow>,
        devices: Vec<DeviceRow>,
    ) -> Result<TenantSpec> {
        let undecoded = |table: &str, e: &sqlx::Error| match e {
            sqlx::Error::ColumnDecode { index, .. } => {
                let column = index.trim_matches('"');
                StoreError::Corrupt(format!("{table}.{column} of user {id}"))
            }
            _ => StoreError::Corrupt(format!("a row in {table} of user {id}")),
        };
        let row = row.map_err(|e| undecoded("users", &e))?;
        let mut tenant = self.tenant_spec(row, slot)?;
        for device in devices {
            let row = device.row.map_err(|e| undecoded("peers", &e))?;
            let id = DeviceId(row.id);
            tenant.devices.insert(id, self.device_spec(row)?);
        }
        Ok(tenant)
    }

    fn tenant_spec(&self, r: TenantSpecRow, slot: Slot) -> Result<TenantSpec> {
        let bad = |column| StoreError::Corrupt(format!("users.{column} of user {}", r.id));
        let key = self.open_key(Purpose::TunnelKey, &r.wg_public_key, &r.wg_private_key)?;
        let state = TenantState::parse(&r.state).ok_or_else(|| bad("state"))?;
        let limits = limits(&r).ok_or_else(|| bad("quota_state"))?;
        Ok(TenantSpec {
            name: TenantName::parse(&r.username).map_err(|_| bad("username"))?,
            slot,
            private_key: PrivateKey::from_random(*key),
            suspended: state == TenantState::Suspended,
            asleep: r.asleep_since.is_some(),
            dns_password: self.open_dns_password(&r.username, &r.dns_password)?,
            dns_password_hash: r.dns_password_hash,
            limits,
            ipv6: None,
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
