//! Whether what was committed is in force on its node, and which slots a node can
//! still give.

use crate::inner::Inner;
use domain::{NodeId, Slot, TenantId, TenantScope};
use futures_util::{StreamExt, stream::BoxStream};
use protocol::Location;
use std::{collections::BTreeSet, time::Duration};
use store::Committed;

/// How long a request waits for the tunnel: the config it answers with should
/// work at once, and a node that takes longer than this has a problem anyway.
const APPLY_TIMEOUT: Duration = Duration::from_secs(3);

impl Inner {
    /// Nudges the node and waits until a committed change of the tenant is in
    /// force: its tunnel and elements are. Never fails, because the change is
    /// committed whatever the node does.
    pub(crate) async fn in_force<T>(&self, scope: &TenantScope, change: &Committed<T>) -> bool {
        self.in_force_of(scope.tenant(), change).await
    }

    /// Does the same for a change that is not made for a tenant's request.
    pub(crate) async fn in_force_of<T>(&self, tenant: TenantId, change: &Committed<T>) -> bool {
        let at = location(change);
        let changes = self.nodes.tenant_changes(at);
        self.nodes.nudge(at.node);
        let is_in_force = wait_until(changes, || {
            let state = self.nodes.tenant(at);
            state.is_some_and(|s| s.applied >= change.generation)
        });
        let is_in_force = is_in_force.await;
        self.notifier.changed(tenant);
        is_in_force
    }

    /// Nudges the node and waits until it has cut off a tenant whose deletion is
    /// committed: no interface carries its packets. Never fails, like
    /// [`Inner::in_force`].
    pub(crate) async fn is_cut_off(&self, deletion: &Committed<()>) -> bool {
        let at = location(deletion);
        let changes = self.nodes.node_changes(at.node);
        self.nodes.nudge(at.node);
        let is_cut_off = wait_until(changes, || {
            let state = self.nodes.node(at.node);
            state.is_some_and(|n| {
                let left = |leaving: &BTreeSet<Slot>| !leaving.contains(&at.slot);
                n.generation >= deletion.generation && n.leaving.as_ref().is_some_and(left)
            })
        });
        is_cut_off.await
    }

    /// Returns the slots of a node that are never assigned: by the operator's
    /// settings, which are the local node's, or because another program on the host has
    /// their interface.
    pub(crate) fn unusable_slots(&self, node: NodeId) -> BTreeSet<Slot> {
        let mut slots = match self.settings.local == Some(node) {
            true => self.settings.excluded_slots.clone(),
            false => BTreeSet::new(),
        };
        let foreign = self.nodes.node(node).map(|state| state.foreign_slots);
        slots.extend(foreign.into_iter().flatten());
        slots
    }
}

const fn location<T>(change: &Committed<T>) -> Location {
    Location {
        node: change.node,
        slot: change.slot,
    }
}

/// Waits until the condition holds, which is checked now and at every change, for
/// [`APPLY_TIMEOUT`] at most. Returns whether it does.
async fn wait_until(mut changes: BoxStream<'static, ()>, condition: impl Fn() -> bool) -> bool {
    let holds = async {
        while !condition() {
            if changes.next().await.is_none() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(APPLY_TIMEOUT, holds)
        .await
        .unwrap_or(false)
}

#[cfg(test)]
mod tests;
