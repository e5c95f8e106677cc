//! The engine's source of specs: a control plane's feed. Each spec is stored in
//! the checkpoint, and each is compared with the one before: what it revokes
//! removes the checkpoint first, and what a restored database brings back is
//! reported.

mod compare;

use crate::spec_checkpoint::{CheckpointWriter, SpecCheckpoint};
use async_trait::async_trait;
use compare::{returned, revokes};
use protocol::{EventKind, NodeSpec, SpecAnswer, SpecFeed};
use provisioning::{
    SpecSource,
    ports::{PortError, PortResult},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OnceCell, broadcast};

/// Events that wait for a slow reader. A restore is rare.
const BUFFERED_EVENTS: usize = 16;

/// Loads from a feed, and stores the result in a checkpoint.
pub struct FeedSource {
    feed: Arc<dyn SpecFeed>,
    checkpoint: Option<CheckpointWriter>,
    /// Whether the checkpoint of an earlier process was read.
    begun: OnceCell<()>,
    /// The spec that was loaded last. At the beginning it is the one that an
    /// earlier process stored: the machine may still hold it.
    last: Mutex<Option<NodeSpec>>,
    /// The generation that was stored last, or is about to be.
    stored: Mutex<Option<u64>>,
    events: broadcast::Sender<EventKind>,
}

impl FeedSource {
    /// Loads from `feed`, and stores each spec in `checkpoint`, if there is one.
    pub fn new(feed: Arc<dyn SpecFeed>, checkpoint: Option<SpecCheckpoint>) -> Self {
        Self {
            feed,
            checkpoint: checkpoint.map(CheckpointWriter::new),
            begun: OnceCell::new(),
            last: Mutex::default(),
            stored: Mutex::default(),
            events: broadcast::Sender::new(BUFFERED_EVENTS),
        }
    }

    /// Returns what sends the events of this source.
    pub(crate) fn events(&self) -> broadcast::Sender<EventKind> {
        self.events.clone()
    }

    /// Returns the spec before the one that is being loaded.
    async fn before(&self) -> Option<NodeSpec> {
        let read = async {
            if let Some(checkpoint) = &self.checkpoint {
                *lock(&self.last) = checkpoint.read().await;
            }
        };
        self.begun.get_or_init(|| read).await;
        lock(&self.last).clone()
    }
}

#[async_trait]
impl SpecSource for FeedSource {
    async fn load(&self, in_force: u64) -> PortResult<NodeSpec> {
        let before = self.before().await;
        let known = before.as_ref().map_or(0, |spec| spec.generation);
        let loaded = self.feed.load(in_force.max(known)).await;
        let SpecAnswer { spec, restored } =
            loaded.map_err(|problem| PortError::new(problem.code, problem.message))?;
        if let Some(checkpoint) = &self.checkpoint {
            if lock(&self.stored).replace(spec.generation) != Some(spec.generation) {
                checkpoint.schedule(&spec);
            }
            let revokes = |before: &NodeSpec| revokes(before, &spec);
            if before.as_ref().is_some_and(revokes) {
                checkpoint.remove().await;
            }
        }
        // Last, and without a wait: a caller that is cancelled loads again, and
        // must come to the same decisions.
        *lock(&self.last) = Some(spec.clone());
        if let Some(before) = before.filter(|_| restored) {
            let (tenants, devices) = returned(&before, &spec);
            let (was, generation) = (before.generation, spec.generation);
            tracing::warn!(
                was,
                generation,
                tenants,
                devices,
                "the database was restored: these are in force again"
            );
            let restored = EventKind::DatabaseRestored { tenants, devices };
            // Having no receiver is not an error: it is logged.
            let _ = self.events.send(restored);
        }
        Ok(spec)
    }
}

/// Locks a mutex whose value is valid after any panic: every change is one
/// assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
