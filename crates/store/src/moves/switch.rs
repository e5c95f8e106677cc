//! Carries a move out: one transaction, after which the tenant is the other node's.

use crate::{
    Committed, Result, Store, StoreError,
    audit::{self, AuditEntry},
    db::{Tx, execute, fetch_all, fetch_optional, unsigned},
    events,
    nodes::{bump_generation, count_tenants, parse_slot, store_tenant_count},
};
use domain::{NodeId, Slot, TenantId, TenantName, Timestamp};
use protocol::{EventKind, EventTenant};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// A tenant's change of its node.
#[derive(Clone, Debug)]
pub struct Switch<'a> {
    pub tenant: TenantId,
    /// The node that it must be on.
    pub from: NodeId,
    pub to: NodeId,
    /// The number of tenants that the new node may hold in all; `None` limits it only by
    /// its slots.
    pub max_tenants: Option<u32>,
    /// The bytes that AdGuard Home had stored and that were copied; `None` if they stay
    /// behind.
    pub copied_bytes: Option<u64>,
    /// Where the former node sends the tenant's packets on to.
    pub forward_to: Option<Ipv4Addr>,
    /// For how long.
    pub forward_until: Timestamp,
    /// How long the former node keeps the tenant's folder, and its slot for it.
    pub kept_until: Timestamp,
    pub actor: &'a str,
    pub now: Timestamp,
}

impl Store {
    /// Gives a tenant to another node, in the slot that it has, and ends its move. Both
    /// nodes' generations grow, and that of each node that forwards the tenant's packets.
    ///
    /// # Errors
    /// Returns [`StoreError::MoveUnknown`] if the move was cancelled or the tenant is on
    /// another node by now, [`StoreError::NodeFull`] for a node that has no room or is
    /// not open, [`StoreError::SlotTaken`], and [`StoreError::NotFound`]. A failed call
    /// changes nothing.
    pub async fn switch_tenant(&self, switch: &Switch<'_>) -> Result<Committed<()>> {
        let mut tx = self.db.begin().await?;
        let tenant = switch.tenant.0;
        let generations = lock_nodes(&mut tx, switch).await?;
        let (from, to) = (switch.from.0, switch.to.0);
        let sql = "SELECT name FROM nodes WHERE id = $1 AND state = 'open'";
        let open = fetch_optional!(tx.connection(), (String,), sql, to)?;
        let (to_name,) = open.ok_or(StoreError::NodeFull)?;
        if let Some(max_tenants) = switch.max_tenants
            && count_tenants(&mut tx, switch.to).await? >= u64::from(max_tenants)
        {
            return Err(StoreError::NodeFull);
        }
        let sql = "DELETE FROM moves WHERE user_id = $1";
        if execute!(tx.connection(), sql, tenant)? == 0 {
            return Err(StoreError::MoveUnknown);
        }
        let sql = "SELECT username, slot FROM users WHERE id = $1 AND node_id = $2";
        let row = fetch_optional!(tx.connection(), (String, i64), sql, tenant, from)?;
        let (name, slot) = row.ok_or(StoreError::MoveUnknown)?;
        let corrupt =
            |column: &str| StoreError::Corrupt(format!("users.{column} of user {tenant}"));
        let name = TenantName::parse(&name).map_err(|_| corrupt("username"))?;
        let slot = parse_slot(slot).ok_or_else(|| corrupt("slot"))?;
        // It comes back to what it left.
        let sql = "DELETE FROM moved_tenants WHERE node_id = $1 AND user_id = $2";
        execute!(tx.connection(), sql, to, tenant)?;
        if is_taken(&mut tx, switch, slot.get().into()).await? {
            return Err(StoreError::SlotTaken { slot });
        }
        let generation = generations.get(&switch.to).copied();
        let generation = generation.ok_or(StoreError::NotFound)?;
        let sql = "UPDATE users SET node_id = $2, generation = $3, placement = placement + 1 \
                   WHERE id = $1 AND node_id = $4";
        let moved = execute!(tx.connection(), sql, tenant, to, generation, from);
        // E.g. a subnet that another tenant got by an earlier address plan.
        let moved = moved.map_err(|e| match e.is_unique_violation() {
            true => StoreError::SlotTaken { slot },
            false => e,
        })?;
        if moved == 0 {
            return Err(StoreError::MoveUnknown);
        }
        leave_behind(&mut tx, switch, slot.get().into()).await?;
        store_tenant_count(&mut tx, switch.from).await?;
        store_tenant_count(&mut tx, switch.to).await?;
        let sql = "SELECT name FROM nodes WHERE id = $1";
        let from_name = fetch_optional!(tx.connection(), (String,), sql, from)?;
        let from_name = from_name.map(|(name,)| name).unwrap_or_default();
        let entry = AuditEntry {
            at: switch.now,
            actor: switch.actor.to_owned(),
            action: "tenant.moved".to_owned(),
            object: name.to_string(),
            detail: format!("{from_name} to {to_name}, slot {slot}"),
            tenant: Some(switch.tenant),
            ..AuditEntry::default()
        };
        audit::write(&mut tx, entry).await?;
        let (tenant, from, to) = (EventTenant { slot, name }, from_name, to_name);
        let event = match switch.copied_bytes {
            Some(bytes) => EventKind::TenantMovedWithData {
                tenant,
                from,
                to,
                bytes,
            },
            None => EventKind::TenantMoved { tenant, from, to },
        };
        events::insert(&mut tx, switch.to, &[(switch.tenant, event)], switch.now).await?;
        tx.commit().await?;
        Ok(Committed {
            value: (),
            node: switch.to,
            slot,
            generation: unsigned(generation),
        })
    }

    /// Returns whether a slot of a node is free for that tenant.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn has_slot_free(&self, node: NodeId, slot: Slot, tenant: TenantId) -> Result<bool> {
        let slot = i64::from(slot.get());
        let row = fetch_optional!(self.db.reader(), (i64,), TAKEN, node.0, slot, tenant.0)?;
        Ok(row.is_none())
    }
}

/// Whether a tenant holds a slot, or something is kept there for another one.
const TAKEN: &str = "SELECT slot FROM users WHERE node_id = $1 AND slot = $2 UNION ALL \
     SELECT slot FROM moved_tenants WHERE node_id = $1 AND slot = $2 \
     AND (user_id IS NULL OR user_id <> $3) LIMIT 1";

async fn is_taken(tx: &mut Tx, switch: &Switch<'_>, slot: i64) -> Result<bool> {
    let (node, tenant) = (switch.to.0, switch.tenant.0);
    let row = fetch_optional!(tx.connection(), (i64,), TAKEN, node, slot, tenant)?;
    Ok(row.is_some())
}

/// Locks the rows of the nodes that the switch changes, in the order of their ids, and
/// increments their generations. Two switches at once cannot lock each other out.
async fn lock_nodes(tx: &mut Tx, switch: &Switch<'_>) -> Result<BTreeMap<NodeId, i64>> {
    let sql = "SELECT node_id FROM moved_tenants WHERE user_id = $1";
    let former = fetch_all!(tx.connection(), (i64,), sql, switch.tenant.0)?;
    let mut nodes: BTreeSet<NodeId> = former.into_iter().map(|(n,)| NodeId(n)).collect();
    nodes.extend([switch.from, switch.to]);
    let mut generations = BTreeMap::new();
    for node in nodes {
        generations.insert(node, bump_generation(tx, node).await?);
    }
    Ok(generations)
}

/// Stores what the former node keeps of the tenant, and lets those before it forward to
/// the new one.
async fn leave_behind(tx: &mut Tx, switch: &Switch<'_>, slot: i64) -> Result<()> {
    let address = switch.forward_to.map(|a| a.to_string());
    let sql = "UPDATE moved_tenants SET forward_to = $2 \
               WHERE user_id = $1 AND forward_to IS NOT NULL";
    execute!(tx.connection(), sql, switch.tenant.0, address.as_deref())?;
    let sql = "INSERT INTO moved_tenants \
               (node_id, slot, user_id, forward_to, forward_until, kept_until) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    execute!(
        tx.connection(),
        sql,
        switch.from.0,
        slot,
        switch.tenant.0,
        address.as_deref(),
        switch.forward_until.0,
        switch.kept_until.0
    )
    .map(drop)
}
