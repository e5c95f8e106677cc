//! A node's spec, from the database. The last one is cached for the node in this process,
//! so that for one change among a thousand tenants only that tenant is read and unsealed.
//! The link to the workers keeps what it needs of theirs.
//!
//! Where the node has more in force than the database knows, the database was
//! restored from a backup, or a failover lost its newest changes. Then the node's
//! generation is raised above what it has in force, and it gets what the database
//! has. A database that has caught up in number before the node asked is not
//! noticed by its number; reading all of it again corrects that within
//! [`FULL_READ_INTERVAL`].

use async_trait::async_trait;
use domain::{Clock, ErrorCode, Message, NodeId, Problem, Slot};
use protocol::{NodeSpec, SpecAnswer, SpecChanges, SpecFeed};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{Store, StoreError};
use tokio::time::Instant;

/// How long the cached spec is only updated. After that all of it is read again,
/// so that a row that was changed by hand, without a new generation, is not
/// overlooked forever.
const FULL_READ_INTERVAL: Duration = Duration::from_secs(600);
/// The same while a tenant's rows cannot be read: they are corrected by hand.
const UNREADABLE_INTERVAL: Duration = Duration::from_secs(60);

/// Loads a node's spec from the store.
pub struct StoreSpecs {
    store: Store,
    node: NodeId,
    clock: Arc<dyn Clock>,
    /// Whether the last spec is kept. A control plane has the specs of hundreds of workers.
    is_kept: bool,
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
    pub fn new(store: Store, node: NodeId, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            node,
            clock,
            is_kept: true,
            cached: Mutex::default(),
        }
    }

    /// Loads the spec of a worker: nothing of it is kept.
    pub fn of_worker(store: Store, node: NodeId, clock: Arc<dyn Clock>) -> Self {
        Self {
            is_kept: false,
            ..Self::new(store, node, clock)
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
        let longest = match cached.spec.unreadable.is_empty() {
            true => FULL_READ_INTERVAL,
            false => UNREADABLE_INTERVAL,
        };
        if cached.read_fully_at.elapsed() >= longest {
            return Ok(None);
        }
        let spec = &mut cached.spec;
        let slots = spec.tenants.keys().chain(spec.unreadable.keys());
        let slots = slots.copied().collect();
        let since = spec.generation;
        let changes = self.store.spec_changes(self.node, since, &slots).await?;
        if changes.generation < since {
            return Ok(None);
        }
        changes.apply(spec);
        Ok(Some(cached))
    }

    async fn read(&self) -> Result<NodeSpec, StoreError> {
        let before = lock(&self.cached).clone();
        let updated = match before {
            Some(before) => self.update(before).await?,
            None => None,
        };
        let now = match updated {
            Some(updated) => updated,
            None => self.read_fully().await?,
        };
        if !self.is_kept {
            return Ok(now.spec);
        }
        let spec = now.spec.clone();
        *lock(&self.cached) = Some(now);
        Ok(spec)
    }

    /// Reads the spec for a node that has more in force than `found`, which the
    /// database answered before.
    async fn read_after_restore(&self, in_force: u64, found: u64) -> Result<NodeSpec, StoreError> {
        let now = self.clock.now();
        let raised = self
            .store
            .raise_generation(self.node, in_force, now)
            .await?;
        if let Some(generation) = raised {
            let node = self.node.0;
            tracing::warn!(
                node,
                found,
                in_force,
                generation,
                "the database is older than what the node has in force: it was restored, and the node follows it"
            );
        }
        self.read().await
    }

    /// Returns whether a node with this generation has not learned of the last
    /// restore. An answer may have been lost on its way, or another control plane's.
    async fn is_before_restore(&self, in_force: u64, found: u64) -> Result<bool, StoreError> {
        if in_force == 0 || in_force >= found {
            return Ok(false);
        }
        let restored = self.store.restored_generation(self.node).await?;
        Ok(restored.is_some_and(|restored| in_force < restored))
    }
}

/// Locks a mutex whose value is valid after any panic: every change is one
/// assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn problem(e: &StoreError) -> Problem {
    tracing::warn!(error = ?e, "the node's spec could not be read");
    let failure = e.failure();
    Problem {
        code: failure.code,
        message: failure.message,
    }
}

#[async_trait]
impl SpecFeed for StoreSpecs {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        let mut spec = self.read().await.map_err(|e| problem(&e))?;
        if spec.generation < in_force {
            let read = self.read_after_restore(in_force, spec.generation).await;
            spec = read.map_err(|e| problem(&e))?;
        }
        // The reading came from another server than the one that was raised.
        if spec.generation < in_force {
            return Err(Problem {
                code: ErrorCode::DatabaseUnavailable,
                message: Message::SpecOlder {
                    found: spec.generation,
                    current: in_force,
                },
            });
        }
        let restored = self.is_before_restore(in_force, spec.generation).await;
        Ok(SpecAnswer {
            restored: restored.map_err(|e| problem(&e))?,
            spec,
        })
    }

    async fn changes(
        &self,
        since: u64,
        known: &BTreeSet<Slot>,
        in_force: u64,
    ) -> Result<Option<SpecChanges>, Problem> {
        let read = self.store.spec_changes(self.node, since, known).await;
        let changes = read.map_err(|e| problem(&e))?;
        let restored = self.is_before_restore(in_force, changes.generation).await;
        let is_told = changes.generation >= since && !restored.map_err(|e| problem(&e))?;
        Ok(is_told.then_some(changes))
    }
}
