//! What stays of a tenant on a node that it has left, and how that ends.

use crate::{
    Result, Store,
    db::{Tx, execute, fetch_all},
    nodes::{bump_generation, parse_slot},
};
use domain::{NodeId, Slot, TenantName, Timestamp};
use protocol::{Forward, MovedTenant};
use std::collections::BTreeMap;

/// Those of deleted tenants are left out: a node removes their folders.
const MOVED: &str = "SELECT moved_tenants.slot, users.username, moved_tenants.forward_to \
     FROM moved_tenants JOIN users ON users.id = moved_tenants.user_id \
     WHERE moved_tenants.node_id = $1";

const ENDING: &str = "SELECT DISTINCT node_id FROM moved_tenants \
     WHERE user_id IS NULL OR kept_until <= $1 \
     OR (forward_to IS NOT NULL AND forward_until <= $1) ORDER BY node_id";

/// Returns the tenants that have left a node and of which something stays there.
pub(crate) async fn moved_from(tx: &mut Tx, node: NodeId) -> Result<BTreeMap<Slot, MovedTenant>> {
    type Row = (i64, String, Option<String>);
    let rows = fetch_all!(tx.connection(), Row, MOVED, node.0)?;
    let tenant = |(slot, name, to): Row| {
        let to = to.and_then(|to| to.parse().ok());
        let moved = MovedTenant {
            name: TenantName::parse(&name).ok()?,
            forward: to.map(|to| Forward { to }),
        };
        Some((parse_slot(slot)?, moved))
    };
    // What cannot be read has no folder with a name of ours.
    Ok(rows.into_iter().filter_map(tenant).collect())
}

impl Store {
    /// Ends what former nodes keep and forward, where its time is over or the tenant is
    /// deleted. Returns the nodes that have something else to do now.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn end_moved(&self, now: Timestamp) -> Result<Vec<NodeId>> {
        let nodes = fetch_all!(self.db.reader(), (i64,), ENDING, now.0)?;
        let mut ended = Vec::new();
        for (node,) in nodes {
            let mut tx = self.db.begin().await?;
            bump_generation(&mut tx, NodeId(node)).await?;
            let sql = "DELETE FROM moved_tenants \
                       WHERE node_id = $1 AND (user_id IS NULL OR kept_until <= $2)";
            execute!(tx.connection(), sql, node, now.0)?;
            let sql = "UPDATE moved_tenants SET forward_to = NULL \
                       WHERE node_id = $1 AND forward_until <= $2";
            execute!(tx.connection(), sql, node, now.0)?;
            tx.commit().await?;
            ended.push(NodeId(node));
        }
        Ok(ended)
    }
}
