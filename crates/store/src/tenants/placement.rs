//! Where a new tenant may be placed.

use crate::{
    LOCAL_NODE, Result,
    db::{Tx, fetch_optional},
    nodes::parse_slot,
};
use domain::{NodeId, Slot};
use std::collections::BTreeSet;

/// The node of a new tenant, and the limits there.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    pub node: NodeId,
    /// Slots that are not assigned, because another program on the host uses
    /// their port or interface.
    pub excluded: &'a BTreeSet<Slot>,
    /// The number of tenants that the node may hold in all; `None` limits it
    /// only by its slots.
    pub max_tenants: Option<u32>,
}

impl<'a> From<&'a BTreeSet<Slot>> for Placement<'a> {
    /// Places on the local node, in any slot except these.
    fn from(excluded: &'a BTreeSet<Slot>) -> Self {
        Self {
            node: LOCAL_NODE,
            excluded,
            max_tenants: None,
        }
    }
}

/// Returns whether the node holds `max_tenants` already.
pub(super) async fn is_full(tx: &mut Tx, node: NodeId, max_tenants: u32) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM users WHERE node_id = $1";
    let count = fetch_optional!(tx.connection(), (i64,), sql, node.0)?;
    Ok(count.is_some_and(|(count,)| count >= i64::from(max_tenants)))
}

/// Returns the node's lowest slot from `from` on that is neither taken nor excluded.
/// The database finds it: reading a thousand slots would delay the changes that
/// wait for the node's row.
pub(super) async fn free_slot(
    tx: &mut Tx,
    node: NodeId,
    mut from: u16,
    excluded: &BTreeSet<Slot>,
) -> Result<Option<Slot>> {
    let sql = "SELECT MIN(c.n) FROM \
         (SELECT CAST($2 AS BIGINT) AS n UNION ALL \
          SELECT slot + 1 FROM users WHERE node_id = $1 AND slot >= $2) AS c \
         WHERE NOT EXISTS (SELECT 1 FROM users WHERE node_id = $1 AND slot = c.n)";
    while let Some(slot) = Slot::new(from) {
        if !excluded.contains(&slot) {
            let row = fetch_optional!(
                tx.connection(),
                (Option<i64>,),
                sql,
                node.0,
                i64::from(from)
            )?;
            match row.and_then(|(n,)| n).and_then(parse_slot) {
                Some(free) if !excluded.contains(&free) => return Ok(Some(free)),
                Some(free) => from = free.get(),
                None => return Ok(None),
            }
        }
        from += 1;
    }
    Ok(None)
}
