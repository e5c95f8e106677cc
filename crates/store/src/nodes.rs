//! Nodes and their generations.
//!
//! A node's generation grows with every change of what the node should run.
//! The row in `nodes` is also the lock that serialises the changes of a node.
//!
//! Lock order everywhere: the row in `nodes`, then `users`, `tenant_traffic`,
//! `peers`. Transactions that follow it cannot deadlock with each other.

use crate::{
    Result, Store, StoreError,
    db::{Tx, execute, fetch_optional, unsigned},
};
use domain::{NodeId, TenantScope};

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
}

/// Does what [`Store::generation`] does, within a transaction.
pub(crate) async fn generation_in(tx: &mut Tx, node: NodeId) -> Result<u64> {
    let row = fetch_optional!(tx.connection(), (i64,), GENERATION, node.0)?;
    Ok(unsigned(row.ok_or(StoreError::NotFound)?.0))
}

/// Locks the node's row until the end of the transaction and increments the
/// generation.
pub(crate) async fn bump_generation(tx: &mut Tx, node: NodeId) -> Result<()> {
    let sql = "UPDATE nodes SET generation = generation + 1 WHERE id = $1";
    match execute!(tx.connection(), sql, node.0)? {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

/// Does the same for the tenant's node, and stores the new generation with the
/// tenant, so that the change can be found by it. Returns `NotFound` if the
/// tenant does not exist any more.
pub(crate) async fn bump_tenant_generation(tx: &mut Tx, scope: &TenantScope) -> Result<()> {
    let sql = "UPDATE nodes SET generation = generation + 1 \
               WHERE id = (SELECT node_id FROM users WHERE id = $1)";
    if execute!(tx.connection(), sql, scope.tenant().0)? == 0 {
        return Err(StoreError::NotFound);
    }
    // The tenant may have been deleted while this transaction waited for the
    // node's row.
    let sql = "UPDATE users SET generation = \
               (SELECT generation FROM nodes WHERE nodes.id = users.node_id) WHERE id = $1";
    match execute!(tx.connection(), sql, scope.tenant().0)? {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}
