//! What the program asks and says of the control planes.

use super::NodesHandle;
use std::time::Duration;
use store::ControlPlaneRecord;

/// How long an orderly end waits for the database.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

impl NodesHandle<'_> {
    /// Returns the control planes that use the database, this one included, by id, as they
    /// were heard some seconds ago. It asks nothing of the database.
    pub fn control_planes(self) -> Vec<ControlPlaneRecord> {
        self.0.leases.control_planes()
    }

    /// Ends this control plane's part in order: writes the events that wait, and gives its
    /// work to the others, which would wait for some seconds otherwise. The background jobs
    /// have ended before. It waits 3 s at most; a failure is logged.
    pub async fn leave(self) {
        let leaving = async {
            self.0.events.write_pending().await;
            self.0.leases.leave().await
        };
        match tokio::time::timeout(LEAVE_TIMEOUT, leaving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(?error, "the other control planes go on with a delay");
            }
            Err(_) => tracing::warn!("the other control planes go on with a delay"),
        }
    }
}
