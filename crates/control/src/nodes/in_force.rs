//! Whether what was committed is in force on the node, and which slots the node
//! can still give.

use crate::inner::Inner;
use domain::{Slot, TenantScope};
use std::{collections::BTreeSet, time::Duration};
use store::Committed;

/// How long a request waits for the tunnel: the config it answers with should
/// work at once, and a node that takes longer than this has a problem anyway.
const APPLY_TIMEOUT: Duration = Duration::from_secs(3);

impl Inner {
    /// Nudges the node and waits until a committed change of the tenant is in
    /// force. Never fails, because the change is committed whatever the node does.
    pub(crate) async fn in_force<T>(&self, scope: &TenantScope, change: &Committed<T>) -> bool {
        let (slot, generation) = (change.slot, change.generation);
        let is_in_force = self.node.applied(slot, generation, APPLY_TIMEOUT).await;
        self.notifier.changed(scope.tenant());
        is_in_force
    }

    /// Nudges the node and waits until it has cut off a tenant whose deletion is
    /// committed. Never fails, like [`Inner::in_force`].
    pub(crate) async fn is_cut_off(&self, deletion: &Committed<()>) -> bool {
        let (slot, generation) = (deletion.slot, deletion.generation);
        self.node.removed(slot, generation, APPLY_TIMEOUT).await
    }

    /// Returns the slots that are never assigned: by the operator's settings, or
    /// because another program on the host has their interface.
    pub(crate) fn unusable_slots(&self) -> BTreeSet<Slot> {
        let mut slots = self.settings.excluded_slots.clone();
        slots.extend(self.node.node().borrow().foreign_slots.iter());
        slots
    }
}

#[cfg(test)]
mod tests;
