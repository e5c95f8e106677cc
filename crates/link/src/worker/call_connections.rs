//! The connections for calls: one to each control plane that is listed.

use super::{
    address::ControlPlane,
    calls::Calls,
    control_planes::ControlPlanes,
    retry::{self, SPREAD},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::{task::JoinHandle, time::Instant};

/// A connection that is made again whenever it ends. It ends when it is dropped.
struct CallTask(JoinHandle<()>);

impl Drop for CallTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl CallTask {
    /// Ends it, and waits until its connection is closed.
    async fn end(mut self) {
        self.0.abort();
        // It was aborted, or has failed: both end it.
        let _ = (&mut self.0).await;
    }
}

/// Keeps the connections.
pub(super) struct CallConnections {
    pub calls: Calls,
    pub control_planes: Arc<ControlPlanes>,
}

impl CallConnections {
    /// Serves the calls of every control plane that may call, forever.
    pub async fn run(self) {
        let mut changes = self.control_planes.subscribe();
        let mut tasks: BTreeMap<ControlPlane, CallTask> = BTreeMap::new();
        let mut is_start = true;
        loop {
            changes.mark_unchanged();
            let (callers, due) = self.control_planes.callers();
            // First, because two addresses may lead to the same control plane, and it has one
            // connection.
            let is_gone = |to: &ControlPlane, _: &mut CallTask| !callers.contains(to);
            let gone: Vec<_> = tasks.extract_if(.., is_gone).collect();
            for (to, task) in gone {
                tracing::info!(control_plane = %to, "the control plane is listed no more");
                task.end().await;
            }
            for to in callers {
                tasks.entry(to.clone()).or_insert_with(|| {
                    let calls = self.calls.clone();
                    CallTask(tokio::spawn(async move {
                        // A new one is not dialled by all workers at the same moment.
                        if !is_start {
                            retry::pause(SPREAD).await;
                        }
                        calls.run(to).await;
                    }))
                });
            }
            is_start = false;
            tokio::select! {
                // The sender is in `control_planes`.
                _ = changes.changed() => {}
                () = wait_until(due) => {}
            }
        }
    }
}

/// Completes at that time; never if there is none.
async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
