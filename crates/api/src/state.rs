//! What operations use.

use crate::http::streams::Streams;
use control::Control;
use tokio::sync::watch;

/// What operations use. It is cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub control: Control,
    pub streams: Streams,
    /// Becomes true when the server shuts down.
    pub closing: watch::Receiver<bool>,
}
