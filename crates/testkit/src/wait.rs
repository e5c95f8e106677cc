//! Waits for what a node reports, as `control` does through the port
//! `protocol::Nodes`.

use async_trait::async_trait;
use domain::Slot;
use provisioning::NodeHandle;
use std::time::Duration;

/// What tests wait for.
#[async_trait]
pub trait NodeWait {
    /// Nudges the node, then waits, for `patience` at most, until a slot's tunnel
    /// and elements are in force at `generation` or later. Returns whether they
    /// are.
    async fn applied(&self, slot: Slot, generation: u64, patience: Duration) -> bool;

    /// Nudges the node, then waits, for `patience` at most, until no interface
    /// carries packets for a tenant who left the slot with `generation`. Returns
    /// whether that is so.
    async fn removed(&self, slot: Slot, generation: u64, patience: Duration) -> bool;
}

#[async_trait]
impl NodeWait for NodeHandle {
    async fn applied(&self, slot: Slot, generation: u64, patience: Duration) -> bool {
        let mut watch = self.watch(slot);
        self.nudge();
        let applied = watch.wait_for(|s| s.as_ref().is_some_and(|s| s.applied >= generation));
        matches!(tokio::time::timeout(patience, applied).await, Ok(Ok(_)))
    }

    async fn removed(&self, slot: Slot, generation: u64, patience: Duration) -> bool {
        let mut node = self.node();
        self.nudge();
        let removed = node.wait_for(|n| {
            n.generation >= generation && n.leaving.as_ref().is_some_and(|l| !l.contains(&slot))
        });
        matches!(tokio::time::timeout(patience, removed).await, Ok(Ok(_)))
    }
}
