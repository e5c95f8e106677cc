//! The other direction of [`Nodes`](crate::Nodes): where a node's spec comes from.

use crate::{MovedTenant, NodeSpec, TenantSpec, UnreadableTenant};
use async_trait::async_trait;
use domain::{Problem, Slot};
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
    /// New and changed tenants that cannot be read.
    pub unreadable: BTreeMap<Slot, UnreadableTenant>,
    /// Slots of the earlier spec that are free now.
    pub removed: BTreeSet<Slot>,
    /// All tenants that have moved away; `None` where nothing has changed.
    pub moved: Option<BTreeMap<Slot, MovedTenant>>,
}

impl SpecChanges {
    /// Applies the changes to the spec that they were read for. A tenant that has
    /// not changed stays the same `Arc`.
    pub fn apply(self, spec: &mut NodeSpec) {
        spec.generation = self.generation;
        for slot in self.removed.iter().chain(self.unreadable.keys()) {
            spec.tenants.remove(slot);
        }
        let read = self.changed.iter().map(|t| &t.slot);
        for slot in self.removed.iter().chain(read) {
            spec.unreadable.remove(slot);
        }
        spec.unreadable.extend(self.unreadable);
        if let Some(moved) = self.moved {
            spec.moved = moved;
        }
        spec.tenants
            .extend(self.changed.into_iter().map(|t| (t.slot, t)));
    }
}

/// The answer to a node that asks for its spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecAnswer {
    /// What the node should hold. Never older than what it has in force.
    pub spec: NodeSpec,
    /// Whether the database had fallen behind the node: it was restored from a
    /// backup, or a failover lost its newest changes. What had been revoked since
    /// may be in force again with this spec.
    pub restored: bool,
}

/// Where a node's spec comes from: the control plane.
#[async_trait]
pub trait SpecFeed: Send + Sync + 'static {
    /// Loads the whole spec. `in_force` is the generation of the spec that the
    /// node has in force, 0 for none. A node follows every answer; one that has
    /// more in force than the database knows gets what the database has, under a
    /// generation above its own.
    ///
    /// # Errors
    /// Why it cannot be loaded; what is in force stays.
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem>;

    /// Loads what has changed since a spec of generation `since` with the slots `known`, the
    /// unreadable ones included; `None` where everything has to be loaded. The answer to a
    /// node that has not been told of the last restore is always [`load`](Self::load)'s.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    async fn changes(
        &self,
        _since: u64,
        _known: &BTreeSet<Slot>,
        _in_force: u64,
    ) -> Result<Option<SpecChanges>, Problem> {
        Ok(None)
    }
}
