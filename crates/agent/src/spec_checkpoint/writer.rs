//! Writes the checkpoint soon after a change, in a burst of changes every few seconds,
//! and removes it at once.

use super::SpecCheckpoint;
use protocol::NodeSpec;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long changes are gathered before the file is written. A worker that ends
/// meanwhile, and starts while no control plane answers, has the state before; after a
/// revocation it has none.
const GATHER: Duration = Duration::from_millis(200);
/// Shortest time between two writes: a burst of changes does not write the spec of a
/// thousand tenants again and again.
const INTERVAL: Duration = Duration::from_secs(3);

/// The writer of one checkpoint.
pub(crate) struct CheckpointWriter {
    checkpoint: SpecCheckpoint,
    /// The spec that waits to be written.
    pending: Arc<Mutex<Option<NodeSpec>>>,
    /// When the last write was scheduled for.
    last_write: Arc<Mutex<Option<Instant>>>,
    /// Locked by the task that writes or removes the file.
    file: Arc<Mutex<()>>,
}

impl CheckpointWriter {
    pub(crate) fn new(checkpoint: SpecCheckpoint) -> Self {
        Self {
            checkpoint,
            pending: Arc::default(),
            last_write: Arc::default(),
            file: Arc::default(),
        }
    }

    /// Reads the spec that an earlier process stored; `None` if there is none that
    /// can be used.
    pub(crate) async fn read(&self) -> Option<NodeSpec> {
        let checkpoint = self.checkpoint.clone();
        match tokio::task::spawn_blocking(move || checkpoint.read()).await {
            Ok(Ok(spec)) => spec,
            Ok(Err(e)) => {
                tracing::warn!(error = %e, cause = ?e.cause, "the last spec cannot be read; it is written again");
                None
            }
            Err(e) => {
                tracing::error!(error = %e, "reading the last spec failed");
                None
            }
        }
    }

    /// Schedules a write of the spec, or of the newest one that follows until
    /// then.
    pub(crate) fn schedule(&self, spec: &NodeSpec) {
        if lock(&self.pending).replace(spec.clone()).is_some() {
            return;
        }
        let write = self.write_pending();
        let soon = Instant::now() + GATHER;
        let at = {
            let mut last = lock(&self.last_write);
            let at = last.map_or(soon, |last| soon.max(last + INTERVAL));
            *last = Some(at);
            at
        };
        tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            write.await;
        });
    }

    /// Writes what waits to be written now: the process ends in order.
    pub(crate) async fn flush(&self) {
        self.write_pending().await;
    }

    /// Writes the spec that waits once this is awaited, if there is one.
    fn write_pending(&self) -> impl Future<Output = ()> + Send + use<> {
        let (checkpoint, pending, file) = (
            self.checkpoint.clone(),
            self.pending.clone(),
            self.file.clone(),
        );
        let write = move || {
            // Locked before the spec is taken, so that no other task removes the file
            // in between.
            let _file = lock(&file);
            let spec = lock(&pending).take();
            spec.map_or(Ok(()), |spec| checkpoint.write(&spec))
        };
        async move {
            match tokio::task::spawn_blocking(write).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    tracing::warn!(error = %e, cause = ?e.cause, "the last spec could not be stored for a start without the database")
                }
                Err(e) => tracing::error!(error = %e, "storing the last spec failed"),
            }
        }
    }

    /// Removes the file, after a write that is under way. The revocation takes
    /// effect even if the file cannot be removed.
    pub(crate) async fn remove(&self) {
        let (checkpoint, file) = (self.checkpoint.clone(), self.file.clone());
        let remove = move || {
            let _file = lock(&file);
            checkpoint.remove()
        };
        match tokio::task::spawn_blocking(remove).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => {
                tracing::error!(error = %e, "the copy of an older spec could not be removed: a start without the database would admit what was revoked since")
            }
            Err(e) => tracing::error!(error = %e, "removing the copy of an older spec failed"),
        }
    }
}

/// Locks a mutex whose value is valid after any panic: every change is one
/// assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
