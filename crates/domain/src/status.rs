//! The status of a tenant's parts, as the progress page, the dashboard and the
//! operator's pages show it.

use crate::failure::ErrorCode;
use serde::{Deserialize, Serialize};

/// The reason a part does not work, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind of problem, for programs to compare.
    pub code: ErrorCode,
    /// The problem and what to do, for people.
    pub message: String,
}

/// The status of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Setting it up has not begun.
    #[default]
    Waiting,
    /// It is being set up.
    Working,
    /// It is as the spec requires.
    Ready {
        /// Milliseconds from when it was first required (since this server
        /// started) until it was ready; 0 if it was ready already.
        took_ms: u32,
    },
    /// It does not work, for this reason. The node keeps retrying.
    Problem(Problem),
}

impl Part {
    /// Returns whether the part is ready.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Part::Ready { .. })
    }

    /// Returns the problem, if there is one.
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Part::Problem(p) => Some(p),
            _ => None,
        }
    }
}

/// A tenant's status on its node. The slot and the keys are created in the
/// sign-up's transaction, so they exist whenever there is a status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantStatus {
    /// The tenant's elements in the firewall.
    pub firewall: Part,
    /// The WireGuard interface with its peers.
    pub tunnel: Part,
    /// AdGuard Home; ready when it answers.
    pub dns: Part,
}

impl TenantStatus {
    /// Returns whether every part is ready.
    pub const fn is_ready(&self) -> bool {
        self.firewall.is_ready() && self.tunnel.is_ready() && self.dns.is_ready()
    }

    /// Returns the first problem; the most basic part comes first.
    pub fn problem(&self) -> Option<&Problem> {
        self.firewall
            .problem()
            .or(self.tunnel.problem())
            .or(self.dns.problem())
    }
}
