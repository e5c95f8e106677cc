//! The worker's query for its spec: answered at once if it has something else, otherwise
//! when something changes. A hint ends the wait; without one the generation is compared.

use super::{
    shared::{Shared, WorkerEntry},
    spec_cache::LoadedSpec,
};
use bytes::Bytes;
use domain::{ErrorCode, Message, Problem};
use protocol::wire::{POLL_TIME, SpecQuery, SpecUpdate};
use std::time::Duration;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use zeroize::Zeroizing;

/// How often the generation is compared while a query waits.
const CHECK_INTERVAL: Duration = Duration::from_secs(7);

/// By how much a worker can be ahead of a database that was restored. One that says more
/// would use up the numbers of its node.
const MAX_AHEAD: u64 = 1 << 32;

/// Waits for something that the worker does not have; `None` if there is nothing in time.
///
/// # Errors
/// `BadRequest` for a generation that never was; why the spec cannot be loaded.
pub(super) async fn poll(
    shared: &Shared,
    worker: &WorkerEntry,
    query: &SpecQuery,
) -> Result<Option<SpecUpdate>, Problem> {
    if worker
        .specs
        .generation()
        .is_none_or(|known| query.since > known)
    {
        let generation = shared.registry.generation(worker.node).await?;
        if query.since > generation.saturating_add(MAX_AHEAD) {
            return Err(Problem {
                code: ErrorCode::BadRequest,
                message: Message::WorkerRequestDamaged,
            });
        }
    }
    let wait = Duration::from_secs(query.wait).min(POLL_TIME);
    let deadline = Instant::now() + wait;
    let mut nudges = worker.nudges.subscribe();
    loop {
        nudges.mark_unchanged();
        let spec = worker.specs.load(query.since).await?;
        if let Some(update) = worker.specs.update(query, &spec) {
            return Ok(Some(update));
        }
        let changed = wait_for_change(shared, worker, &spec, &mut nudges);
        if tokio::time::timeout_at(deadline, changed).await.is_err() {
            return Ok(None);
        }
    }
}

/// Waits until the spec may have changed.
async fn wait_for_change(
    shared: &Shared,
    worker: &WorkerEntry,
    spec: &LoadedSpec,
    nudges: &mut watch::Receiver<u64>,
) {
    loop {
        tokio::select! {
            // The sender is in the entry.
            _ = nudges.changed() => return,
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
        }
        match shared.registry.generation(worker.node).await {
            Ok(generation) if generation == spec.spec.generation => {}
            Ok(_) => return,
            // The next query says so, if it lasts.
            Err(problem) => {
                tracing::debug!(problem = %problem.message, "a worker's generation is not known");
            }
        }
    }
}

/// The bytes of an answer, which hold private keys and are wiped once they are sent.
struct SpecBytes {
    bytes: Zeroizing<Vec<u8>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for SpecBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Writes an update. A whole one waits for its turn.
///
/// # Errors
/// The update is too long.
pub(super) async fn to_bytes(shared: &Shared, update: SpecUpdate) -> Result<Bytes, Problem> {
    let permit = match update.full {
        // The semaphore is never closed.
        true => shared.whole_specs.clone().acquire_owned().await.ok(),
        false => None,
    };
    // 20 MB take longer to write than other tasks should wait.
    let writing = tokio::task::spawn_blocking(move || update.to_bytes()).await;
    let unwritten = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a spec cannot be sent");
        Problem {
            code: ErrorCode::Internal,
            message: Message::WorkerAnswerDamaged,
        }
    };
    let bytes = writing
        .map_err(|e| unwritten(&e))?
        .map_err(|e| unwritten(&e))?;
    Ok(Bytes::from_owner(SpecBytes {
        bytes,
        _permit: permit,
    }))
}
