//! How long changes that are saved wait until their nodes have them. Pure.

use domain::NodeId;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Changes that a node does not have yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// The first generation that it did not have.
    generation: u64,
    since: Instant,
}

/// What of each node is saved and not reported as in force.
#[derive(Debug, Default)]
pub(super) struct PendingChanges(BTreeMap<NodeId, Waiting>);

/// Changes that are saved and that their nodes do not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingFigures {
    pub changes: u64,
    /// For how long the oldest waits, as far as was observed.
    pub oldest: Duration,
}

impl PendingChanges {
    /// Compares what is saved of each node with what it reports.
    pub(super) fn update(
        &mut self,
        nodes: impl Iterator<Item = (NodeId, u64, u64)>,
        now: Instant,
    ) -> PendingFigures {
        let mut figures = PendingFigures::default();
        let mut waiting = BTreeMap::new();
        for (node, saved, in_force) in nodes {
            let behind = saved.saturating_sub(in_force);
            if behind == 0 {
                continue;
            }
            let new = Waiting {
                generation: in_force + 1,
                since: now,
            };
            // What the node has caught up with waits no more.
            let before = self.0.remove(&node).filter(|w| w.generation > in_force);
            let entry = before.unwrap_or(new);
            figures.changes += behind;
            figures.oldest = figures.oldest.max(now.duration_since(entry.since));
            waiting.insert(node, entry);
        }
        self.0 = waiting;
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_stands_still_grows_older() {
        let mut pending = PendingChanges::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let node = NodeId(1);
        let mut update = |saved, in_force, seconds| {
            let figures = pending.update([(node, saved, in_force)].into_iter(), at(seconds));
            (figures.changes, figures.oldest.as_secs())
        };
        assert_eq!(update(5, 5, 0), (0, 0));
        assert_eq!(update(7, 5, 10), (2, 0));
        assert_eq!(update(9, 5, 70), (4, 60), "no progress");
        assert_eq!(update(9, 6, 80), (3, 0), "it has the oldest");
        assert_eq!(update(9, 9, 90), (0, 0));
        assert_eq!(update(3, 9, 90), (0, 0), "a restored database");
    }
}
