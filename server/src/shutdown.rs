//! The end of the server: the signals that ask for it, and how its tasks learn
//! of it.

use std::io;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// The signals that end the server.
pub(crate) struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl ShutdownSignals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Completes at the first SIGTERM or SIGINT.
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("shutting down on SIGTERM"),
            _ = self.interrupt.recv() => tracing::info!("shutting down on SIGINT"),
        }
    }
}

/// Completes once the server shuts down.
pub(crate) async fn closed(mut closing: watch::Receiver<bool>) {
    // An error means that the sender was dropped, which is a shutdown too.
    let _ = closing.wait_for(|c| *c).await;
}
