//! Says that a commit has queued mail, so that the sender does not have to ask again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Whether this process queues mail, and what wakes its sender.
#[derive(Debug, Default)]
pub(crate) struct MailBell {
    is_enabled: AtomicBool,
    queued: Notify,
}

impl MailBell {
    pub fn enable(&self) {
        self.is_enabled.store(true, Ordering::Relaxed);
    }

    pub fn is_enabled(&self) -> bool {
        self.is_enabled.load(Ordering::Relaxed)
    }

    /// Wakes the sender, or the next time that it waits.
    pub fn ring(&self) {
        self.queued.notify_one();
    }

    pub async fn rung(&self) {
        self.queued.notified().await;
    }
}
