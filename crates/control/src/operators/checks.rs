//! The checks of the machine that answers, as `maliknode doctor` makes them there.

use async_trait::async_trait;
use domain::{
    ErrorCode, Failure, Message, Timestamp,
    view::{CheckRow, ChecksView},
};
use std::sync::{Arc, OnceLock};
use tokio::sync::Mutex;

/// How long a result is shown again, in milliseconds: a check asks Docker, the kernel and
/// the database.
const FRESH_MILLIS: i64 = 10_000;

/// Checks the machine of this process.
#[async_trait]
pub trait MachineChecks: Send + Sync {
    /// Runs all checks.
    async fn run(&self) -> Vec<CheckRow>;
}

/// The checks with their last result. One run at a time.
#[derive(Default)]
pub(crate) struct Checks {
    machine: OnceLock<Arc<dyn MachineChecks>>,
    last: Mutex<Option<ChecksView>>,
}

impl Checks {
    /// Names what checks the machine. The first one counts.
    pub(crate) fn set(&self, machine: Arc<dyn MachineChecks>) {
        let _ = self.machine.set(machine);
    }

    /// Returns the last result, or that of another run.
    ///
    /// # Errors
    /// `Internal` where this process has no checks.
    pub(super) async fn view(&self, now: Timestamp) -> Result<ChecksView, Failure> {
        let Some(machine) = self.machine.get() else {
            return Err(Failure::new(ErrorCode::Internal, Message::Unexpected));
        };
        let mut last = self.last.lock().await;
        let fresh = |view: &&ChecksView| (0..FRESH_MILLIS).contains(&now.millis_since(view.at));
        if let Some(view) = last.as_ref().filter(fresh) {
            return Ok(view.clone());
        }
        let rows = machine.run().await;
        let view = ChecksView { at: now, rows };
        *last = Some(view.clone());
        Ok(view)
    }
}
