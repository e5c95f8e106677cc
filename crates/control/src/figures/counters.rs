//! What people did since the process began, by outcome.

use domain::{ErrorCode, Failure};
use std::sync::atomic::{AtomicU64, Ordering};
use store::MailTry;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Accepted,
    /// The name or the password was wrong; of sign-ups: the form was.
    Refused,
    /// There were too many attempts.
    Limited,
    /// The server could not answer it: the database was away, or it was busy or full.
    Failed,
}

impl Outcome {
    /// Every outcome, in the order of the counts.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Refused, Self::Limited, Self::Failed];

    /// Returns its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }

    /// Returns the outcome of an attempt that failed so.
    const fn of_failure(code: ErrorCode) -> Self {
        match code {
            ErrorCode::TooManyTries => Self::Limited,
            ErrorCode::Busy
            | ErrorCode::Internal
            | ErrorCode::NodeFull
            | ErrorCode::NodesStarting
            | ErrorCode::DatabaseUnavailable
            | ErrorCode::DiskUnavailable => Self::Failed,
            _ => Self::Refused,
        }
    }
}

/// Attempts, by outcome.
#[derive(Debug, Default)]
pub(crate) struct Attempts([AtomicU64; Outcome::ALL.len()]);

impl Attempts {
    /// Counts an attempt that ended so, and returns its result.
    pub(crate) fn count<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        let outcome = match &result {
            Ok(_) => Outcome::Accepted,
            Err(f) => Outcome::of_failure(f.code),
        };
        self.0[outcome as usize].fetch_add(1, Ordering::Relaxed);
        result
    }

    fn figures(&self) -> [(Outcome, u64); Outcome::ALL.len()] {
        let count = |outcome: Outcome| self.0[outcome as usize].load(Ordering::Relaxed);
        Outcome::ALL.map(|outcome| (outcome, count(outcome)))
    }
}

/// Tries to send mail, by how they ended.
#[derive(Debug, Default)]
pub(crate) struct MailTries {
    sent: AtomicU64,
    deferred: AtomicU64,
    failed: AtomicU64,
}

impl MailTries {
    /// Counts a try that ended so.
    pub(crate) fn count(&self, ended: MailTry) {
        let counter = match ended {
            MailTry::Sent => &self.sent,
            MailTry::Deferred(_) => &self.deferred,
            MailTry::Failed => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn figures(&self) -> [(&'static str, u64); 3] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("sent", read(&self.sent)),
            ("deferred", read(&self.deferred)),
            ("failed", read(&self.failed)),
        ]
    }
}

/// What people did since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Checks of a password, of tenants and operators, by pages and by the API.
    pub(crate) sign_ins: Attempts,
    pub(crate) sign_ups: Attempts,
    pub(crate) mail: MailTries,
}

/// What people did at this control plane since its process began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityFigures {
    pub sign_ins: [(Outcome, u64); Outcome::ALL.len()],
    pub sign_ups: [(Outcome, u64); Outcome::ALL.len()],
    /// Tries to send mail: `sent`, `deferred` or `failed`.
    pub mail: [(&'static str, u64); 3],
}

impl Counters {
    pub(crate) fn figures(&self) -> ActivityFigures {
        ActivityFigures {
            sign_ins: self.sign_ins.figures(),
            sign_ups: self.sign_ups.figures(),
            mail: self.mail.figures(),
        }
    }
}
