//! A worker's source of specs: what the poller has received. It waits for nothing, so a
//! control plane that does not answer delays the engine by nothing.

use async_trait::async_trait;
use domain::{ErrorCode, Message, Problem};
use protocol::{
    NodeSpec, SpecAnswer, SpecFeed,
    wire::{SpecFingerprints, SpecQuery, SpecUpdate, SpecUpdateError},
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What has been received.
#[derive(Default)]
struct Received {
    spec: Option<NodeSpec>,
    /// `None` if the next update has to be whole.
    fingerprints: Option<SpecFingerprints>,
    /// The generation of the last restore of the database, 0 for none.
    restored: u64,
    /// The highest generation that the engine had in force, or in its checkpoint.
    in_force: u64,
}

/// What a control plane has sent. The poller of [`Worker`](super::Worker) fills it.
#[derive(Default)]
pub struct RemoteFeed {
    received: Mutex<Received>,
    /// What is in force may be newer than what was asked about.
    behind: Notify,
}

impl RemoteFeed {
    fn lock(&self) -> MutexGuard<'_, Received> {
        // Every change is complete before anything can panic.
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what to ask for.
    pub(super) fn query(&self, wait: u64) -> SpecQuery {
        let received = self.lock();
        let have = received.spec.as_ref().map_or(0, |spec| spec.generation);
        let digest = received.fingerprints.as_ref();
        SpecQuery {
            since: have.max(received.in_force),
            digest: digest.map(SpecFingerprints::digest),
            wait,
        }
    }

    /// Takes what a control plane has sent. Returns whether it is something new; the next
    /// query asks for everything if it does not fit.
    ///
    /// # Errors
    /// [`SpecUpdateError::Misfit`].
    pub(super) fn take(&self, update: SpecUpdate) -> Result<bool, SpecUpdateError> {
        let mut received = self.lock();
        let known = received.fingerprints.take().unwrap_or_default();
        let restored = update.restored;
        let (spec, fingerprints) = update.apply(received.spec.as_ref(), &known)?;
        let new = received.spec.as_ref() != Some(&spec);
        if restored {
            received.restored = spec.generation;
        }
        received.fingerprints = Some(fingerprints);
        received.spec = Some(spec);
        Ok(new)
    }

    /// Makes the next query ask for everything.
    pub(super) fn forget(&self) {
        self.lock().fingerprints = None;
    }

    /// Waits until a query is about something older than what the engine has in force.
    pub(super) async fn is_behind(&self, query: &SpecQuery) {
        while self.lock().in_force <= query.since {
            self.behind.notified().await;
        }
    }
}

#[async_trait]
impl SpecFeed for RemoteFeed {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        let mut received = self.lock();
        received.in_force = received.in_force.max(in_force);
        let spec = received.spec.as_ref();
        match spec.filter(|spec| spec.generation >= in_force) {
            // The engine that has it in force has been told of its restore.
            Some(spec) => Ok(SpecAnswer {
                restored: in_force < received.restored,
                spec: spec.clone(),
            }),
            None => {
                if spec.is_some() {
                    self.behind.notify_one();
                }
                Err(Problem {
                    code: ErrorCode::DatabaseUnavailable,
                    message: Message::ControlPlaneNotHeard,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
