//! The checks for the operator's page and for the API: those of `maliknode doctor`, made by
//! the server itself.

use super::{Check, State, examine};
use crate::config::Config;
use async_trait::async_trait;
use control::MachineChecks;
use domain::view::{CheckRow, CheckState};

/// The checks of this machine with a configuration.
pub(crate) struct OwnChecks(pub Config);

#[async_trait]
impl MachineChecks for OwnChecks {
    async fn run(&self) -> Vec<CheckRow> {
        let report = examine(&self.0).await;
        report.checks.into_iter().map(row).collect()
    }
}

fn row(check: Check) -> CheckRow {
    CheckRow {
        name: check.name,
        state: match check.state {
            State::Ok => CheckState::Ok,
            State::Warn => CheckState::Warn,
            State::Bad => CheckState::Bad,
        },
        message: check.message,
        fix: check.fix,
    }
}
