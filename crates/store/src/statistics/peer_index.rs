//! Which row of `peers` has which public key: a cache for each node.

use domain::{NodeId, PublicKey};
use std::collections::{HashMap, HashSet};

/// The peers of each node that readings come from.
#[derive(Debug, Default)]
pub(crate) struct PeerIndex(HashMap<NodeId, NodePeers>);

/// The ids of a node's peers and their tenants. They are valid for one generation
/// of the node, because every change of its peers raises it.
#[derive(Debug, Default)]
pub(super) struct NodePeers {
    generation: Option<u64>,
    by_key: HashMap<PublicKey, (i64, i64)>,
    ids: HashSet<i64>,
}

impl PeerIndex {
    /// Returns the node's peers as they were read last.
    pub(super) fn node(&mut self, node: NodeId) -> &mut NodePeers {
        self.0.entry(node).or_default()
    }
}

impl NodePeers {
    /// Returns whether the peers are those of that generation.
    pub(super) fn is_current(&self, generation: u64) -> bool {
        self.generation == Some(generation)
    }

    /// Replaces the peers. A row is a public key, the tenant's id and the peer's.
    pub(super) fn replace(&mut self, generation: u64, rows: Vec<(String, i64, i64)>) {
        self.by_key.clear();
        self.ids.clear();
        for (key, tenant, peer) in rows {
            match PublicKey::parse(&key) {
                Ok(key) => {
                    self.by_key.insert(key, (tenant, peer));
                    self.ids.insert(peer);
                }
                Err(_) => tracing::error!(peer, "peers.public_key is unreadable"),
            }
        }
        self.generation = Some(generation);
    }

    /// Returns the ids of the key's tenant and peer.
    pub(super) fn find(&self, key: &PublicKey) -> Option<(i64, i64)> {
        self.by_key.get(key).copied()
    }

    /// Returns the ids of all peers.
    pub(super) const fn ids(&self) -> &HashSet<i64> {
        &self.ids
    }
}
