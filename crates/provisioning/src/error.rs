//! The error of every call to the machine.

use domain::{ErrorCode, Message, Problem};

/// A failed call to the machine: what to say of it, and the cause. It prints as the
/// message's code and arguments, for logs.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What failed, for programs.
    pub code: ErrorCode,
    /// What failed and what to do about it, for people. Contains no secret.
    pub message: Message,
    /// The error of the machine.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PortError {
    /// Creates an error without a cause below it.
    pub const fn new(code: ErrorCode, message: Message) -> Self {
        Self {
            code,
            message,
            cause: None,
        }
    }

    /// Creates an error with its cause.
    pub fn because(
        code: ErrorCode,
        message: Message,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            code,
            message,
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
