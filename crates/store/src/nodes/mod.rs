//! Nodes and their generations.
//!
//! A node's generation grows with every change of what the node should run.
//! The row in `nodes` is also the lock that serialises the changes of a node.
//!
//! Lock order everywhere: the row in `nodes`, then `users`, `tenant_traffic`,
//! `peers`. Transactions that follow it cannot deadlock with each other. Readings lock their
//! node's row in `node_readings` before, which no change does.

mod authority;
mod endpoint_names;
mod joining;
mod registry;

pub use authority::AuthorityPem;
pub use endpoint_names::{NameCounts, NamedTenant, NamingNode, NamingPlace, PendingName};
pub use joining::{CertificateRecord, JoiningNode, NewJoinToken};
pub use registry::{EndpointHost, NodeChange, NodeRecord, NodeTerms};
pub(crate) use registry::{count_tenants, lock, store_tenant_count, write_change};

use crate::{
    Committed, Result, Store, StoreError,
    audit::{self, AuditEntry},
    db::{Tx, execute, fetch_optional, unsigned},
};
use domain::{NodeId, Slot, TenantId, TenantScope, Timestamp};

/// The node that every installation has: the machine MalikNode runs on.
pub const LOCAL_NODE: NodeId = NodeId(1);

const GENERATION: &str = "SELECT generation FROM nodes WHERE id = $1";

impl Store {
    /// Returns the node's generation. If it has not grown since the last
    /// [`load_spec`](Self::load_spec), there is nothing new to load.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] for an unknown node.
    pub async fn generation(&self, node: NodeId) -> Result<u64> {
        let row = fetch_optional!(self.db.reader(), (i64,), GENERATION, node.0)?;
        Ok(unsigned(row.ok_or(StoreError::NotFound)?.0))
    }

    /// Raises the node's generation above `in_force`, which the node has in force,
    /// if the database is behind it: it was restored from a backup, or a failover
    /// lost its newest changes. Every tenant of the node then counts as changed, so
    /// no reader of changes keeps what was lost. Returns the new generation, or
    /// `None` if the database is not behind.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn raise_generation(
        &self,
        node: NodeId,
        in_force: u64,
        now: Timestamp,
    ) -> Result<Option<u64>> {
        let in_force = i64::try_from(in_force).unwrap_or(i64::MAX);
        let mut tx = self.db.begin().await?;
        // The row is locked before it is read, so that of two control planes one
        // raises it.
        let sql = "UPDATE nodes SET generation = generation WHERE id = $1 RETURNING generation";
        let row = fetch_optional!(tx.connection(), (i64,), sql, node.0)?;
        let (found,) = row.ok_or(StoreError::NotFound)?;
        if found >= in_force {
            return Ok(None);
        }
        let raised = in_force.saturating_add(1);
        let sql = "UPDATE nodes SET generation = $2, restored_generation = $2 WHERE id = $1";
        execute!(tx.connection(), sql, node.0, raised)?;
        let sql = "UPDATE users SET generation = $2 WHERE node_id = $1";
        execute!(tx.connection(), sql, node.0, raised)?;
        let entry = AuditEntry {
            at: now,
            actor: "system".to_owned(),
            action: "node.restored".to_owned(),
            object: format!("node {node}"),
            detail: format!("generation {found} after {in_force}, now {raised}"),
            tenant: None,
            ..AuditEntry::default()
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Some(unsigned(raised)))
    }

    /// Returns the generation that a restored database was raised to last; `None` where it
    /// never was.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn restored_generation(&self, node: NodeId) -> Result<Option<u64>> {
        let sql = "SELECT restored_generation FROM nodes WHERE id = $1";
        let row = fetch_optional!(self.db.reader(), (Option<i64>,), sql, node.0)?;
        Ok(row.and_then(|(generation,)| generation).map(unsigned))
    }
}

/// Does what [`Store::generation`] does, within a transaction.
pub(crate) async fn generation_in(tx: &mut Tx, node: NodeId) -> Result<u64> {
    let row = fetch_optional!(tx.connection(), (i64,), GENERATION, node.0)?;
    Ok(unsigned(row.ok_or(StoreError::NotFound)?.0))
}

/// Converts a number of the database to a slot.
pub(crate) fn parse_slot(n: i64) -> Option<Slot> {
    u16::try_from(n).ok().and_then(Slot::new)
}

/// A change in a transaction that is not committed yet: it has locked its node's
/// row and incremented the generation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingChange {
    node: NodeId,
    slot: Slot,
    generation: u64,
}

impl PendingChange {
    /// Returns the tenant's slot.
    pub const fn slot(self) -> Slot {
        self.slot
    }

    /// Returns the node and its new generation.
    pub const fn generation(self) -> (NodeId, u64) {
        (self.node, self.generation)
    }

    /// Returns the result of the change. The caller has committed it.
    pub fn committed<T>(self, value: T) -> Committed<T> {
        Committed {
            value,
            node: self.node,
            slot: self.slot,
            generation: self.generation,
        }
    }

    /// Returns the result of a change that changes nothing. The caller drops the
    /// transaction, so the generation stays the one before; no other change could
    /// raise it meanwhile.
    pub fn unchanged<T>(self, value: T) -> Committed<T> {
        Committed {
            generation: self.generation.saturating_sub(1),
            ..self.committed(value)
        }
    }
}

/// Does what [`bump_generation`] does for a new tenant. Returns `NodeFull` for a node
/// that gets none.
pub(crate) async fn begin_placement(tx: &mut Tx, node: NodeId) -> Result<i64> {
    let sql = "UPDATE nodes SET generation = generation + 1 \
               WHERE id = $1 AND state = 'open' RETURNING generation";
    let row = fetch_optional!(tx.connection(), (i64,), sql, node.0)?;
    row.map(|(n,)| n).ok_or(StoreError::NodeFull)
}

/// Locks the node's row until the end of the transaction and increments the
/// generation. Returns the new generation.
pub(crate) async fn bump_generation(tx: &mut Tx, node: NodeId) -> Result<i64> {
    let sql = "UPDATE nodes SET generation = generation + 1 WHERE id = $1 RETURNING generation";
    let row = fetch_optional!(tx.connection(), (i64,), sql, node.0)?;
    row.map(|(n,)| n).ok_or(StoreError::NotFound)
}

/// Does the same for the tenant's node, and stores the new generation with the
/// tenant, so that the change can be found by it. Returns `NotFound` if the
/// tenant does not exist any more.
pub(crate) async fn begin_change(tx: &mut Tx, scope: &TenantScope) -> Result<PendingChange> {
    begin_change_of(tx, scope.tenant()).await
}

/// Does what [`begin_change`] does for a change that no caller asked for.
pub(crate) async fn begin_change_of(tx: &mut Tx, tenant: TenantId) -> Result<PendingChange> {
    let tenant = tenant.0;
    let sql = "UPDATE nodes SET generation = generation + 1 \
               WHERE id = (SELECT node_id FROM users WHERE id = $1) RETURNING id, generation";
    let row = fetch_optional!(tx.connection(), (i64, i64), sql, tenant)?;
    let (node, generation) = row.ok_or(StoreError::NotFound)?;
    // The tenant may have been deleted while this transaction waited for the
    // node's row.
    let sql = "UPDATE users SET generation = $2 WHERE id = $1 AND node_id = $3 RETURNING slot";
    let row = fetch_optional!(tx.connection(), (i64,), sql, tenant, generation, node)?;
    let (slot,) = row.ok_or(StoreError::NotFound)?;
    Ok(PendingChange {
        node: NodeId(node),
        slot: parse_slot(slot)
            .ok_or_else(|| StoreError::Corrupt(format!("users.slot of user {tenant}")))?,
        generation: unsigned(generation),
    })
}
