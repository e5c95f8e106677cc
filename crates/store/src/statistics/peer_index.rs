//! Which row of `peers` has which public key.

use crate::{
    Result, Store,
    db::{fetch_all, fetch_optional},
};
use domain::PublicKey;
use std::collections::{HashMap, HashSet};

/// A cache of the ids of all peers and their tenants. It is valid for one
/// generation of the database, because every change of peers raises it.
#[derive(Debug, Default)]
pub(crate) struct PeerIndex {
    generation: Option<i64>,
    by_key: HashMap<PublicKey, (i64, i64)>,
    ids: HashSet<i64>,
}

impl PeerIndex {
    /// Returns the ids of the key's tenant and peer.
    pub fn find(&self, key: &PublicKey) -> Option<(i64, i64)> {
        self.by_key.get(key).copied()
    }

    /// Returns the ids of all peers.
    pub fn ids(&self) -> &HashSet<i64> {
        &self.ids
    }

    /// Reloads the index if the generation has changed. It is read before the
    /// transaction: a device that is created or deleted meanwhile takes effect
    /// with the next reading.
    pub async fn refresh(&mut self, store: &Store) -> Result<()> {
        let sql = "SELECT CAST(SUM(generation) AS BIGINT) FROM nodes";
        let row = fetch_optional!(store.db.reader(), (Option<i64>,), sql)?;
        let generation = row.and_then(|(n,)| n);
        if self.generation.is_some() && self.generation == generation {
            return Ok(());
        }
        let sql = "SELECT public_key, user_id, id FROM peers";
        let rows = fetch_all!(store.db.reader(), (String, i64, i64), sql)?;
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
        self.generation = generation;
        Ok(())
    }
}
