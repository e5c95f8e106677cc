//! How a tenant's parts are doing: what the progress page ticks off, what the
//! dashboard's chip says, what an operator looks for first.

use crate::failure::ErrorCode;
use serde::{Deserialize, Serialize};

/// Something that keeps a part from working, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What, for programs.
    pub code: ErrorCode,
    /// What, for people.
    pub sentence: String,
}

/// The state of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Not begun.
    #[default]
    Waiting,
    /// Under way.
    Working,
    /// As the spec says.
    Ready {
        /// Milliseconds from when it was first wanted (since this server
        /// started) until it was there; 0 where it was found there.
        took_ms: u32,
    },
    /// Not there, and why. It is being retried.
    Problem(Problem),
}

impl Part {
    /// Whether it is there.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Part::Ready { .. })
    }

    /// What is wrong, if anything.
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Part::Problem(p) => Some(p),
            _ => None,
        }
    }
}

/// A tenant's state on its node. Slot and keys are made in the sign-up's own
/// transaction, so by the time there is a status they are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantStatus {
    /// The tenant's elements in the firewall.
    pub firewall: Part,
    /// The WireGuard interface with its peers.
    pub tunnel: Part,
    /// AdGuard Home, answering.
    pub dns: Part,
}

impl TenantStatus {
    /// Whether a device would have all it was promised.
    pub const fn is_ready(&self) -> bool {
        self.firewall.is_ready() && self.tunnel.is_ready() && self.dns.is_ready()
    }

    /// The first problem, the most basic part first.
    pub fn problem(&self) -> Option<&Problem> {
        self.firewall
            .problem()
            .or(self.tunnel.problem())
            .or(self.dns.problem())
    }
}
