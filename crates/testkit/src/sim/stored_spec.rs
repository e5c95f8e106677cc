//! What a node of the simulation has stored of its spec.

use protocol::NodeSpec;
use std::time::Duration;

/// What is on the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct StoredSpec {
    /// The spec that is stored.
    pub(super) stored: Option<NodeSpec>,
    /// The spec that was answered last, or was stored when the process began.
    pub(super) answered: Option<NodeSpec>,
    /// The machine's time until which the control plane does not answer.
    pub(super) until: Duration,
}

impl StoredSpec {
    /// Returns the generation that the node may have in force by it.
    pub(super) fn generation(&self) -> u64 {
        let both = [&self.stored, &self.answered];
        let generations = both.into_iter().flatten().map(|spec| spec.generation);
        generations.max().unwrap_or_default()
    }
}
