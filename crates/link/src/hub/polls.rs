//! The worker's query for its spec: answered at once if it has something else, otherwise
//! when something changes. A hint ends the wait; without one the generation is compared.

use super::{
    peers::{Identified, Refusal},
    shared::{Shared, WorkerEntry},
    spec_cache::{Answer, Sending},
};
use bytes::Bytes;
use domain::{ErrorCode, Message, Problem};
use protocol::wire::{POLL_TIME, SpecQuery};
use std::time::Duration;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use zeroize::Zeroizing;

/// How often the generation is compared while a query waits.
const CHECK_INTERVAL: Duration = Duration::from_secs(7);

/// How often the control planes are compared with those that there were when a query came.
const LIST_INTERVAL: Duration = Duration::from_secs(1);

/// By how much a worker can be ahead of a database that was restored. One that says more
/// would use up the numbers of its node.
const MAX_AHEAD: u64 = 1 << 32;

/// Waits for something that the worker does not have; `None` if there is nothing in time, or
/// if there are other control planes, which every answer lists. `nudges` wakes it.
///
/// # Errors
/// `BadRequest` for a generation that never was; why the spec cannot be loaded; that the
/// node was refused meanwhile.
pub(super) async fn poll(
    shared: &Shared,
    worker: &WorkerEntry,
    peer: &Identified,
    query: &SpecQuery,
    nudges: &mut watch::Receiver<u64>,
) -> Result<Option<Sending>, Refusal> {
    if worker
        .specs
        .generation()
        .is_none_or(|known| query.since > known)
    {
        let generation = shared.registry.generation(worker.node).await;
        let generation = generation.map_err(Refusal::Unknown)?;
        if query.since > generation.saturating_add(MAX_AHEAD) {
            return Err(Refusal::Unknown(Problem {
                code: ErrorCode::BadRequest,
                message: Message::WorkerRequestDamaged,
            }));
        }
    }
    let wait = Duration::from_secs(query.wait).min(POLL_TIME);
    let deadline = Instant::now() + wait;
    let listed = shared.registry.control_planes();
    loop {
        nudges.mark_unchanged();
        let answer = worker.specs.answer(query).await;
        let Answer { generation, update } = answer.map_err(Refusal::Unknown)?;
        if update.is_some() {
            return Ok(update);
        }
        let changed = async {
            tokio::select! {
                () = wait_for_change(shared, worker, generation, nudges) => true,
                () = wait_for_control_planes(shared, &listed) => false,
            }
        };
        match tokio::time::timeout_at(deadline, changed).await {
            // What has changed may be that the node is refused.
            Ok(true) => peer.check(shared, Duration::ZERO).await?,
            Ok(false) | Err(_) => return Ok(None),
        }
    }
}

/// Waits until the spec may have changed.
async fn wait_for_change(
    shared: &Shared,
    worker: &WorkerEntry,
    known: u64,
    nudges: &mut watch::Receiver<u64>,
) {
    loop {
        tokio::select! {
            // The sender is in the entry.
            _ = nudges.changed() => return,
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
        }
        match shared.registry.generation(worker.node).await {
            Ok(generation) if generation == known => {}
            Ok(_) => return,
            // The next query says so, if it lasts.
            Err(problem) => {
                tracing::debug!(problem = %problem.message, "a worker's generation is not known");
            }
        }
    }
}

/// Waits until there are other control planes than these.
async fn wait_for_control_planes(shared: &Shared, listed: &[String]) {
    while shared.registry.control_planes() == listed {
        tokio::time::sleep(LIST_INTERVAL).await;
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

/// Writes an update. Its permit ends when it is sent.
///
/// # Errors
/// The update is too long.
pub(super) async fn to_bytes(sending: Sending) -> Result<Bytes, Problem> {
    let Sending { update, permit } = sending;
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
