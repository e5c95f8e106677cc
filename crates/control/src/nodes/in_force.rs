//! Whether what was committed is in force on the node, and which slots the node
//! can still give.

use crate::Control;
use domain::{Slot, TenantScope};
use std::{collections::BTreeSet, time::Duration};
use store::TenantRecord;

/// How long a request waits for the tunnel: the config it answers with should
/// work at once, and a node that takes longer than this has a problem anyway.
const APPLY_TIMEOUT: Duration = Duration::from_secs(3);

impl Control {
    /// Nudges the node and waits until what was just committed is in force.
    /// Never fails, because the change is committed whatever the node does.
    pub(crate) async fn in_force(&self, scope: &TenantScope) -> bool {
        let inner = &self.0;
        let committed = async {
            let tenant = inner.store.tenant(scope).await?;
            let generation = inner.store.generation(tenant.node).await?;
            Ok::<_, store::StoreError>((tenant.slot, generation))
        };
        let is_in_force = match committed.await {
            Ok((slot, generation)) => inner.node.applied(slot, generation, APPLY_TIMEOUT).await,
            Err(e) => {
                inner.node.nudge();
                tracing::warn!(error = ?e, "whether a change is in force cannot be determined");
                false
            }
        };
        inner.notifier.changed(scope.tenant());
        is_in_force
    }

    /// Nudges the node and waits until it has cut off a tenant whose deletion is
    /// committed. Never fails, like [`Control::in_force`].
    pub(crate) async fn is_cut_off(&self, tenant: &TenantRecord) -> bool {
        let inner = &self.0;
        match inner.store.generation(tenant.node).await {
            Ok(generation) => {
                inner
                    .node
                    .removed(tenant.slot, generation, APPLY_TIMEOUT)
                    .await
            }
            Err(e) => {
                inner.node.nudge();
                tracing::warn!(error = ?e, "whether a tenant is cut off cannot be determined");
                false
            }
        }
    }

    /// Returns the slots that are never assigned: by the operator's settings, or
    /// because another program on the host has their interface.
    pub(crate) fn unusable_slots(&self) -> BTreeSet<Slot> {
        let mut slots = self.0.settings.excluded_slots.clone();
        slots.extend(self.0.node.node().borrow().foreign_slots.iter());
        slots
    }

    /// Returns whether no further tenant fits, as far as is known without a
    /// query: pages say so before a visitor fills a form in.
    pub fn is_full(&self) -> bool {
        self.0.capacity.is_full(&self.unusable_slots())
    }
}
