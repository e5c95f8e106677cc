//! What ends the wait for an answer about the spec: a control plane's nudge, and the loss of
//! the one that is asked.

use super::address::ControlPlane;
use tokio::sync::watch;

/// Wakes the poll loop. Several wakes before it looks are one.
#[derive(Debug, Default)]
pub(super) struct Wakes(watch::Sender<Option<ControlPlane>>);

impl Wakes {
    /// Says that this control plane has something new.
    pub fn nudge(&self, by: &ControlPlane) {
        self.0.send_replace(Some(by.clone()));
    }

    /// Says that the one that is asked may be gone.
    pub fn lose(&self) {
        self.0.send_replace(None);
    }

    /// Returns the one that nudged last, `None` after a loss, with later wakes.
    pub fn subscribe(&self) -> watch::Receiver<Option<ControlPlane>> {
        self.0.subscribe()
    }
}
