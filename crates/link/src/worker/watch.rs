//! What the rest of the process sees of a worker's link.

use super::{control_planes::ControlPlanes, credentials::Credentials};
use std::sync::Arc;

/// Watches a worker's link. Cheap to clone.
#[derive(Clone)]
pub struct LinkWatch {
    pub(super) control_planes: Arc<ControlPlanes>,
    pub(super) credentials: Arc<Credentials>,
}

impl LinkWatch {
    /// Returns how many control planes have a connection to this worker.
    pub fn connected(&self) -> usize {
        self.control_planes.calling()
    }

    /// Returns whether this worker's certificate can be used now.
    pub fn is_certificate_valid(&self) -> bool {
        self.credentials
            .remaining_millis()
            .is_ok_and(|left| left > 0)
    }
}
