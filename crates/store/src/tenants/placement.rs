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

/// The free slots of a node in the order in which they are given: from the one after
/// the slot given last, around. So a slot, with its addresses and its port, is not given
/// to a tenant soon after another one has left it.
#[derive(Debug)]
pub(super) struct FreeSlots {
    node: NodeId,
    /// What is left to search, from and to; the range to search first is the last.
    ranges: Vec<(u16, u16)>,
}

impl FreeSlots {
    /// Returns those of a node whose row the transaction holds.
    pub async fn of(tx: &mut Tx, node: NodeId) -> Result<Self> {
        let sql = "SELECT last_slot FROM nodes WHERE id = $1";
        let row = fetch_optional!(tx.connection(), (i64,), sql, node.0)?;
        let last = row.and_then(|(n,)| parse_slot(n)).map_or(0, Slot::get);
        let (first, end) = (Slot::FIRST.get(), Slot::LAST.get());
        let ranges = vec![(first, last), (last + 1, end)];
        Ok(Self { node, ranges })
    }

    /// Returns the next one that is not excluded.
    pub async fn next(&mut self, tx: &mut Tx, excluded: &BTreeSet<Slot>) -> Result<Option<Slot>> {
        while let Some((from, to)) = self.ranges.pop() {
            // Without a query for each that is excluded.
            let usable = |n: &u16| Slot::new(*n).is_some_and(|slot| !excluded.contains(&slot));
            let Some(from) = (from..=to).find(usable) else {
                continue;
            };
            let Some(slot) = self.first_free(tx, from, to).await? else {
                continue;
            };
            self.ranges.push((slot.get() + 1, to));
            if !excluded.contains(&slot) {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Returns the lowest slot of a range that no tenant holds and of which nothing is
    /// kept for one that has moved. The database finds it: reading a thousand slots would
    /// delay the changes that wait for the node's row.
    async fn first_free(&self, tx: &mut Tx, from: u16, to: u16) -> Result<Option<Slot>> {
        if from > to {
            return Ok(None);
        }
        let sql = "SELECT MIN(c.n) FROM \
             (SELECT CAST($2 AS BIGINT) AS n UNION ALL \
              SELECT slot + 1 FROM users WHERE node_id = $1 AND slot >= $2 AND slot < $3 \
              UNION ALL \
              SELECT slot + 1 FROM moved_tenants \
              WHERE node_id = $1 AND slot >= $2 AND slot < $3) AS c \
             WHERE NOT EXISTS (SELECT 1 FROM users WHERE node_id = $1 AND slot = c.n) \
             AND NOT EXISTS (SELECT 1 FROM moved_tenants WHERE node_id = $1 AND slot = c.n)";
        let (from, to) = (i64::from(from), i64::from(to));
        let row = fetch_optional!(tx.connection(), (Option<i64>,), sql, self.node.0, from, to)?;
        Ok(row.and_then(|(n,)| n).and_then(parse_slot))
    }
}
