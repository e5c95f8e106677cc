//! The engine's source of specs: a control plane's feed. Each spec is stored in
//! the checkpoint, and each is compared with the one before: what it revokes
//! removes the checkpoint first, and what a restored database brings back is
//! reported. A tenant that cannot be read keeps what the one before has for it, also
//! after a restart.
//!
//! Until the feed has answered for the first time, the checkpoint of an earlier process
//! is the spec: a worker that boots while no control plane answers brings up everything
//! from its own disk, and follows the control plane later in the same process.

mod compare;

use crate::spec_checkpoint::{CheckpointWriter, SpecCheckpoint};
use async_trait::async_trait;
use compare::{returned, revokes};
use domain::Slot;
use protocol::{EventKind, NodeSpec, SpecAnswer, SpecFeed};
use provisioning::{
    SpecSource,
    ports::{PortError, PortResult},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
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
    /// The generation that was stored last, or is about to be, and the slots whose
    /// tenant could not be read then.
    stored: Mutex<Option<(u64, BTreeSet<Slot>)>>,
    /// Whether the feed has answered in this process.
    answered: AtomicBool,
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
            answered: AtomicBool::new(false),
            events: broadcast::Sender::new(BUFFERED_EVENTS),
        }
    }

    /// Returns what sends the events of this source.
    pub(crate) fn events(&self) -> broadcast::Sender<EventKind> {
        self.events.clone()
    }

    /// Stores the newest spec now, if that is still to be done: the process ends.
    pub(crate) async fn flush(&self) {
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.flush().await;
        }
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
        let SpecAnswer { mut spec, restored } = match (loaded, &before) {
            (Ok(answer), _) => answer,
            // Nothing that was revoked is in it: a revocation removes it first.
            (Err(problem), Some(before)) if !self.answered.load(Ordering::Relaxed) => {
                if in_force == 0 {
                    let (code, generation) = (problem.code, before.generation);
                    let tenants = before.tenants.len();
                    tracing::warn!(%code, generation, tenants, "the control plane has not answered yet: starting from the last spec");
                }
                let before = before.clone();
                return Ok(NodeSpec {
                    is_earlier: true,
                    ..before
                });
            }
            (Err(problem), _) => return Err(PortError::new(problem.code, problem.message)),
        };
        before
            .iter()
            .for_each(|before| spec.keep_unreadable(before));
        if let Some(checkpoint) = &self.checkpoint {
            let state = (
                spec.generation,
                spec.unreadable.keys().copied().collect::<BTreeSet<_>>(),
            );
            if lock(&self.stored).replace(state.clone()) != Some(state) {
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
        self.answered.store(true, Ordering::Relaxed);
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
