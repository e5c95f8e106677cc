//! The operators: their accounts and their overview of the nodes.

mod accounts;
mod audit;
mod checks;
mod log;
mod names;
mod overview;
mod resources;

pub use accounts::{OperatorLink, OperatorWelcome};
pub use checks::MachineChecks;
pub use log::LoggedEvent;

pub(crate) use checks::Checks;

use crate::inner::Inner;
use domain::{Failure, OperatorScope, view::ChecksView};

/// The handle on the operators and their overview.
#[derive(Clone, Copy)]
pub struct Operators<'a>(pub(crate) &'a Inner);

impl Operators<'_> {
    /// Checks the machine of the control plane that answers.
    ///
    /// # Errors
    /// `Internal` where this process has no checks.
    pub async fn checks(self, _scope: &OperatorScope) -> Result<ChecksView, Failure> {
        self.0.checks.view(self.0.clock.now()).await
    }
}
