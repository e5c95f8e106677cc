//! A source of specs that stores each of them in the checkpoint.

use super::SpecCheckpoint;
use async_trait::async_trait;
use protocol::NodeSpec;
use provisioning::{SpecSource, ports::PortResult};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long changes are gathered before the file is written.
const GATHER: Duration = Duration::from_secs(3);

/// Loads from another source and stores the result in a checkpoint.
pub struct CheckpointingSource<S> {
    source: S,
    checkpoint: SpecCheckpoint,
    /// The spec that waits to be written.
    pending: Arc<Mutex<Option<NodeSpec>>>,
    /// Locked by the task that writes or removes the file.
    file: Arc<Mutex<()>>,
    /// The spec that was loaded last.
    last: Mutex<Option<NodeSpec>>,
}

impl<S: SpecSource> CheckpointingSource<S> {
    /// Stores the specs from `source` in `checkpoint`.
    pub fn new(source: S, checkpoint: SpecCheckpoint) -> Self {
        Self {
            source,
            checkpoint,
            pending: Arc::default(),
            file: Arc::default(),
            last: Mutex::default(),
        }
    }

    /// Schedules a write of the spec, or of the newest one that follows until
    /// then.
    fn schedule_write(&self, spec: &NodeSpec) {
        if lock(&self.pending).replace(spec.clone()).is_some() {
            return;
        }
        let (checkpoint, pending, file) = (
            self.checkpoint.clone(),
            self.pending.clone(),
            self.file.clone(),
        );
        tokio::spawn(async move {
            tokio::time::sleep(GATHER).await;
            let write = move || {
                // Locked before the spec is taken, so that no other task removes
                // the file in between.
                let _file = lock(&file);
                let spec = lock(&pending).take();
                spec.map_or(Ok(()), |spec| checkpoint.write(&spec))
            };
            match tokio::task::spawn_blocking(write).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    tracing::warn!(error = %e, cause = ?e.cause, "the last spec could not be stored for a start without the database")
                }
                Err(e) => tracing::error!(error = %e, "storing the last spec failed"),
            }
        });
    }

    /// Removes the file, after a write that is under way. The revocation takes
    /// effect even if the file cannot be removed.
    async fn remove(&self) {
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

/// Returns whether the old spec permits something that the new one does not.
fn revokes(old: &NodeSpec, new: &NodeSpec) -> bool {
    old.tenants.iter().any(|(slot, was)| {
        let is = new.tenants.get(slot);
        let is = is.filter(|t| t.name == was.name && t.private_key == was.private_key);
        let Some(is) = is.filter(|t| was.suspended || !t.suspended) else {
            return true;
        };
        !Arc::ptr_eq(was, is)
            && was.devices.iter().any(|(id, had)| {
                let has = is.devices.get(id);
                has.is_none_or(|d| d.public_key != had.public_key || (had.mesh && !d.mesh))
            })
    })
}

#[async_trait]
impl<S: SpecSource> SpecSource for CheckpointingSource<S> {
    async fn load(&self) -> PortResult<NodeSpec> {
        let spec = self.source.load().await?;
        let before = lock(&self.last).clone();
        if before.as_ref().map(|b| b.generation) != Some(spec.generation) {
            self.schedule_write(&spec);
        }
        if before.is_some_and(|before| revokes(&before, &spec)) {
            self.remove().await;
        }
        // Last: a caller that is cancelled loads again, and must come to the same
        // decision.
        *lock(&self.last) = Some(spec.clone());
        Ok(spec)
    }
}
