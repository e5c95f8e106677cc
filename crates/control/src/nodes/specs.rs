//! The node's spec, from the database. The last one is cached, so that for one
//! change among a thousand tenants only that tenant is read and unsealed.

use async_trait::async_trait;
use domain::NodeId;
use protocol::NodeSpec;
use provisioning::{PortError, SpecSource, ports::PortResult};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use store::{Store, StoreError};
use tokio::time::Instant;

/// How long the cached spec is only updated. After that all of it is read again,
/// so that a row that was changed by hand, without a new generation, is not
/// overlooked forever.
const FULL_READ_INTERVAL: Duration = Duration::from_secs(600);

/// Loads a node's spec from the store.
pub struct StoreSpecs {
    store: Store,
    node: NodeId,
    cached: Mutex<Option<CachedSpec>>,
}

/// The last spec, and when all of it was read.
#[derive(Clone)]
struct CachedSpec {
    spec: NodeSpec,
    read_fully_at: Instant,
}

impl StoreSpecs {
    /// Loads the spec of that node.
    pub fn new(store: Store, node: NodeId) -> Self {
        Self {
            store,
            node,
            cached: Mutex::default(),
        }
    }

    async fn read_fully(&self) -> Result<CachedSpec, StoreError> {
        Ok(CachedSpec {
            spec: self.store.load_spec(self.node).await?,
            read_fully_at: Instant::now(),
        })
    }

    /// Updates the cached spec; `None` if it is too old, or newer than the
    /// database.
    async fn update(&self, mut cached: CachedSpec) -> Result<Option<CachedSpec>, StoreError> {
        if cached.read_fully_at.elapsed() >= FULL_READ_INTERVAL {
            return Ok(None);
        }
        let spec = &mut cached.spec;
        let slots = spec.tenants.keys().copied().collect();
        let since = spec.generation;
        let changes = self.store.spec_changes(self.node, since, &slots).await?;
        if changes.generation < since {
            return Ok(None);
        }
        changes.apply(spec);
        Ok(Some(cached))
    }

    async fn read(&self) -> Result<NodeSpec, StoreError> {
        let cached = || self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let before = cached().clone();
        let updated = match before {
            Some(before) => self.update(before).await?,
            None => None,
        };
        let now = match updated {
            Some(updated) => updated,
            None => self.read_fully().await?,
        };
        let spec = now.spec.clone();
        *cached() = Some(now);
        Ok(spec)
    }
}

#[async_trait]
impl SpecSource for StoreSpecs {
    async fn load(&self) -> PortResult<NodeSpec> {
        self.read().await.map_err(|e| {
            let f = e.failure();
            PortError::because(f.code, f.message, e)
        })
    }
}
