//! Which row of `peers` has which public key: a cache for each node.

use domain::{NodeId, PublicKey};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The peers of each node that readings come from.
#[derive(Debug, Default)]
pub(crate) struct PeerIndex(HashMap<NodeId, Arc<NodePeers>>);

/// The ids of a node's peers and their tenants. They are valid for one generation
/// of the node, because every change of its peers raises it.
#[derive(Debug)]
pub(super) struct NodePeers {
    generation: u64,
    by_key: HashMap<PublicKey, (i64, i64)>,
    ids: HashSet<i64>,
}

impl PeerIndex {
    /// Returns the node's peers as they are in that generation, if they were read then.
    pub(super) fn of(&self, node: NodeId, generation: u64) -> Option<Arc<NodePeers>> {
        let peers = self.0.get(&node);
        peers.filter(|p| p.generation == generation).cloned()
    }

    /// Replaces the node's peers.
    pub(super) fn insert(&mut self, node: NodeId, peers: Arc<NodePeers>) {
        self.0.insert(node, peers);
    }
}

impl NodePeers {
    /// Returns the peers of these rows: a public key, the tenant's id and the peer's.
    pub(super) fn new(generation: u64, rows: Vec<(String, i64, i64)>) -> Self {
        let mut peers = Self {
            generation,
            by_key: HashMap::new(),
            ids: HashSet::new(),
        };
        for (key, tenant, peer) in rows {
            match PublicKey::parse(&key) {
                Ok(key) => {
                    peers.by_key.insert(key, (tenant, peer));
                    peers.ids.insert(peer);
                }
                Err(_) => tracing::error!(peer, "peers.public_key is unreadable"),
            }
        }
        peers
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
