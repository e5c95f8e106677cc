//! Copies what AdGuard Home has stored for a tenant from its node to the new one, before the
//! tenant is switched. Two passes: the first while it runs, the second, of what has changed
//! since, while it is stopped. The archive passes through this process piece by piece.

use super::target::NoTarget;
use crate::{inner::Inner, nodes::KnownNode};
use domain::{ErrorCode, Message, NodeId, Problem};
use futures_util::StreamExt;
use protocol::{CopyId, FolderCopy, Location};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use store::MoveRecord;
use tokio::time::Instant;

/// How long both passes may take together.
const COPY_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long the last pass may take, while AdGuard Home is stopped.
const LAST_PASS_TIMEOUT: Duration = Duration::from_secs(3 * 60);
/// How soon after the last pass the tenant must be switched: a node keeps AdGuard Home stopped
/// for 60 s.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is noted how far a copy is.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a node may take to end a copy.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// A copy that is whole, while AdGuard Home is still stopped.
pub(super) struct Copied {
    /// The bytes of all files.
    pub bytes: u64,
    at: Instant,
}

impl Copied {
    /// Returns whether the tenant can still be switched with it.
    ///
    /// # Errors
    /// Too much time has passed: AdGuard Home may run again.
    pub fn check(&self) -> Result<(), NoTarget> {
        match self.at.elapsed() < SWITCH_TIMEOUT {
            true => Ok(()),
            false => Err(too_slow(SWITCH_TIMEOUT)),
        }
    }
}

fn too_slow(limit: Duration) -> NoTarget {
    NoTarget::Problem(Problem {
        code: ErrorCode::MoveRefused,
        message: Message::CopyTooSlow {
            minutes: limit.as_secs().div_ceil(60),
        },
    })
}

/// Copies a tenant's folder to a node.
///
/// # Errors
/// Why it cannot be copied. Then the caller calls [`end`].
pub(super) async fn copy(
    inner: &Inner,
    due: &MoveRecord,
    target: &KnownNode,
) -> Result<Copied, NoTarget> {
    let random = inner.entropy.bytes();
    let random = random.map_err(|failure| {
        NoTarget::Problem(Problem {
            code: failure.code,
            message: failure.message,
        })
    })?;
    let id = CopyId::from_random(random);
    let copied = AtomicU64::new(0);
    let copied = Arc::new(copied);
    let passes = async {
        pass(inner, due, target, &id, false, &copied).await?;
        let last = pass(inner, due, target, &id, true, &copied);
        let last = tokio::time::timeout(LAST_PASS_TIMEOUT, last).await;
        last.unwrap_or_else(|_| Err(too_slow(LAST_PASS_TIMEOUT)))
    };
    let passes = tokio::time::timeout(COPY_TIMEOUT, passes);
    let done = tokio::select! {
        done = passes => done.unwrap_or_else(|_| Err(too_slow(COPY_TIMEOUT))),
        never = note_progress(inner, due, &copied) => match never {},
    };
    done.map(|bytes| Copied {
        bytes,
        at: Instant::now(),
    })
}

/// Notes how much is copied, until it is dropped.
async fn note_progress(
    inner: &Inner,
    due: &MoveRecord,
    copied: &AtomicU64,
) -> std::convert::Infallible {
    let mut noted = 0;
    loop {
        tokio::time::sleep(NOTE_INTERVAL).await;
        let bytes = copied.load(Ordering::Relaxed);
        if bytes == noted {
            continue;
        }
        noted = bytes;
        if let Err(error) = inner.store.note_move_copied(due.tenant, bytes).await {
            tracing::debug!(?error, "how far a copy is cannot be noted");
        }
    }
}

/// Makes one pass, and returns the bytes of all files at the new node.
async fn pass(
    inner: &Inner,
    due: &MoveRecord,
    target: &KnownNode,
    id: &CopyId,
    is_last: bool,
    copied: &Arc<AtomicU64>,
) -> Result<u64, NoTarget> {
    let at = |node: NodeId| FolderCopy {
        at: Location {
            node,
            slot: due.slot,
        },
        name: due.name.clone(),
        id: id.clone(),
        is_last,
    };
    let archive = inner.nodes.read_folder(&at(due.node)).await;
    let archive = archive.map_err(NoTarget::Problem)?;
    // What is wrong with the former node is not the new one's problem.
    let failed = Arc::new(Mutex::new(None));
    let (copied, noted) = (copied.clone(), failed.clone());
    let archive = archive.inspect(move |piece| match piece {
        Ok(piece) => {
            copied.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        Err(e) => *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.clone()),
    });
    let (to, owner) = (at(target.record.id), &due.owner);
    let written = inner.nodes.write_folder(&to, owner, archive.boxed()).await;
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (written, failed) {
        (Ok(receipt), _) => Ok(receipt.bytes),
        (Err(_), Some(e)) | (Err(e), None) => Err(NoTarget::Problem(e)),
    }
}

/// Ends a copy that is not used: the former node lets AdGuard Home run again at once, and the
/// new one removes what it got. Both do so by themselves too, later.
pub(super) async fn end(inner: &Inner, due: &MoveRecord, target: NodeId) {
    let end = async |node: NodeId| {
        let at = Location {
            node,
            slot: due.slot,
        };
        let ended = inner.nodes.end_copy(at, &due.name);
        match tokio::time::timeout(END_TIMEOUT, ended).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                tracing::debug!(node = node.0, problem = %problem.message, "a copy was not ended");
            }
            Err(_) => tracing::debug!(node = node.0, "a copy was not ended in time"),
        }
    };
    tokio::join!(end(due.node), end(target));
}

/// Lets a node forget what it got of a tenant that did not arrive.
///
/// # Errors
/// It does not answer, or cannot remove it.
pub(super) async fn forget(
    inner: &Inner,
    due: &MoveRecord,
    target: NodeId,
) -> Result<(), NoTarget> {
    let at = Location {
        node: target,
        slot: due.slot,
    };
    match inner.nodes.end_copy(at, &due.name).await {
        // It has got nothing.
        Err(problem) if problem == protocol::cannot_copy() => Ok(()),
        ended => ended.map_err(NoTarget::Problem),
    }
}
