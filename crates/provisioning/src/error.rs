//! The error of every call to the machine.

use domain::{ErrorCode, Problem};

/// A failed call to the machine: a message for people, and the cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What failed, for programs.
    pub code: ErrorCode,
    /// What failed and what to do about it, for people. Contains no secret.
    pub message: String,
    /// The error of the machine.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PortError {
    /// Creates an error without a cause below it.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            cause: None,
        }
    }

    /// Creates an error with its cause.
    pub fn because(
        code: ErrorCode,
        message: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            cause: Some(cause.into()),
        }
    }

    /// Returns the problem that a status shows for this error.
    pub fn problem(&self) -> Problem {
        Problem {
            code: self.code,
            message: self.message.clone(),
        }
    }
}

/// The result of a port's call.
pub type PortResult<T> = Result<T, PortError>;
