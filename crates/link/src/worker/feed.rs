//! A worker's source of specs: what the poller has received. It waits for nothing, so a
//! control plane that does not answer delays the engine by nothing.

use async_trait::async_trait;
use domain::{ErrorCode, Message, Problem};
use protocol::{
    SpecAnswer, SpecFeed,
    wire::{ReceivedSpec, SpecQuery, SpecUpdate, SpecUpdateError},
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What a control plane has sent. The poller of [`Worker`](super::Worker) fills it.
#[derive(Default)]
pub struct RemoteFeed {
    received: Mutex<ReceivedSpec>,
    /// What is in force may be newer than what was asked about.
    behind: Notify,
}

impl RemoteFeed {
    fn lock(&self) -> MutexGuard<'_, ReceivedSpec> {
        // Every change is complete before anything can panic.
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what to ask for.
    pub(super) fn query(&self, wait: u64) -> SpecQuery {
        self.lock().query(wait)
    }

    /// Takes what a control plane has sent. Returns whether it is something new; the next
    /// query asks for everything if it does not fit.
    ///
    /// # Errors
    /// [`SpecUpdateError::Misfit`].
    pub(super) fn take(&self, update: SpecUpdate) -> Result<bool, SpecUpdateError> {
        self.lock().take(update)
    }

    /// Makes the next query ask for everything.
    pub(super) fn forget(&self) {
        self.lock().forget();
    }

    /// Waits until a query is about something older than what the engine has in force.
    pub(super) async fn is_behind(&self, query: &SpecQuery) {
        while self.lock().in_force() <= query.since {
            self.behind.notified().await;
        }
    }
}

#[async_trait]
impl SpecFeed for RemoteFeed {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        let mut received = self.lock();
        match received.load(in_force) {
            Some(answer) => Ok(answer),
            None => {
                if received.is_received() {
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
