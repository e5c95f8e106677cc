//! The names of the nodes, where there are several.

use domain::NodeId;
use std::collections::BTreeMap;
use store::NodeRecord;

/// The names of the nodes; empty for an installation of one node, where they say nothing.
pub(super) struct NodeNames(BTreeMap<NodeId, String>);

impl NodeNames {
    pub(super) fn of<'a>(nodes: impl Iterator<Item = &'a NodeRecord>) -> Self {
        let names: BTreeMap<_, _> = nodes.map(|n| (n.id, n.name.clone())).collect();
        match names.len() {
            0 | 1 => Self(BTreeMap::new()),
            _ => Self(names),
        }
    }

    /// Returns a node's name.
    pub(super) fn get(&self, node: NodeId) -> Option<String> {
        self.0.get(&node).cloned()
    }
}
