//! Stores which control planes there are, so that a worker that starts while the one that it
//! was told of is away finds the others.

use super::{address::ControlPlane, control_planes::ControlPlanes, renewal::IdentityStore};
use std::{sync::Arc, time::Duration};

/// Before a list that could not be stored is stored again.
const STORE_RETRY: Duration = Duration::from_secs(60);

/// What the loop works with.
pub(super) struct KnownList {
    pub control_planes: Arc<ControlPlanes>,
    pub store: Arc<dyn IdentityStore>,
}

impl KnownList {
    /// Stores each new list, forever.
    pub async fn run(self) {
        let mut changes = self.control_planes.subscribe();
        let mut stored = changes.borrow_and_update().listed.clone();
        loop {
            // The sender is in `control_planes`.
            let is_new = |listed: &[ControlPlane]| !listed.is_empty() && listed != stored;
            let listed = match changes.wait_for(|known| is_new(&known.listed)).await {
                Ok(known) => known.listed.clone(),
                Err(_) => return,
            };
            match self.store.store_control_planes(&listed).await {
                Ok(()) => stored = listed,
                Err(e) => {
                    tracing::warn!(error = %e, "the list of control planes cannot be stored; it is tried again");
                    tokio::time::sleep(STORE_RETRY).await;
                }
            }
        }
    }
}
