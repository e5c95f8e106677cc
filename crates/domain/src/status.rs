//! The status of a tenant's parts, as the progress page, the dashboard and the
//! operator's pages show it.

use crate::{code::ErrorCode, message::Message};
use serde::{Deserialize, Serialize};

/// The reason a part does not work, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind of problem, for programs to compare.
    pub code: ErrorCode,
    /// The problem and what to do, for the operator. A tenant reads of it by its
    /// code alone, because this may contain paths, commands and names.
    pub message: Message,
}

/// The status of one part; `P` is how its problem is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part<P = Problem> {
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
    Problem(P),
}

impl<P> Part<P> {
    /// Returns whether the part is ready.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Part::Ready { .. })
    }

    /// Returns the problem, if there is one.
    pub const fn problem(&self) -> Option<&P> {
        match self {
            Part::Problem(p) => Some(p),
            _ => None,
        }
    }

    /// Returns the same status with its problem, if there is one, in another form.
    pub fn map<Q>(self, f: impl FnOnce(P) -> Q) -> Part<Q> {
        match self {
            Part::Waiting => Part::Waiting,
            Part::Working => Part::Working,
            Part::Ready { took_ms } => Part::Ready { took_ms },
            Part::Problem(problem) => Part::Problem(f(problem)),
        }
    }
}

/// A tenant's status on its node. The slot and the keys are created in the
/// sign-up's transaction, so they exist whenever there is a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantStatus<P = Problem> {
    /// The tenant's elements in the firewall.
    pub firewall: Part<P>,
    /// The WireGuard interface with its peers.
    pub tunnel: Part<P>,
    /// AdGuard Home; ready when it answers.
    pub dns: Part<P>,
}

impl<P> Default for TenantStatus<P> {
    fn default() -> Self {
        Self {
            firewall: Part::Waiting,
            tunnel: Part::Waiting,
            dns: Part::Waiting,
        }
    }
}

impl<P> TenantStatus<P> {
    /// Returns whether every part is ready.
    pub const fn is_ready(&self) -> bool {
        self.firewall.is_ready() && self.tunnel.is_ready() && self.dns.is_ready()
    }

    /// Returns the first problem; the most basic part comes first.
    pub fn problem(&self) -> Option<&P> {
        self.firewall
            .problem()
            .or(self.tunnel.problem())
            .or(self.dns.problem())
    }

    /// Returns the same status with every problem in another form.
    pub fn map<Q>(self, mut f: impl FnMut(P) -> Q) -> TenantStatus<Q> {
        TenantStatus {
            firewall: self.firewall.map(&mut f),
            tunnel: self.tunnel.map(&mut f),
            dns: self.dns.map(&mut f),
        }
    }
}
