//! Why a worker and a control plane do not understand each other.

use domain::{Message, Problem};
use http::StatusCode;
use pki::PkiError;
use std::io;

/// Why a request to a control plane failed. The causes are for the log;
/// [`message`](Self::message) is what a person reads.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No TCP connection.
    #[error("{address} cannot be connected to")]
    Unreachable { address: String, source: io::Error },
    /// No answer in time.
    #[error("{address} does not answer in time")]
    Silent { address: String },
    /// What answers does not speak TLS or not this protocol.
    #[error("{address} does not speak the protocol of workers")]
    Protocol { address: String, source: io::Error },
    /// The connection ended.
    #[error("the connection to {address} broke")]
    Broken {
        address: String,
        source: hyper::Error,
    },
    /// An answer that is too long or cannot be read.
    #[error("the answer of {address} cannot be used: {reason}")]
    Answer { address: String, reason: String },
    /// The control plane refuses, and says why.
    #[error("{address} refuses with {status}: {}", .problem.message)]
    Refused {
        address: String,
        status: StatusCode,
        problem: Box<Problem>,
    },
    /// The other side is not of the installation, or the worker's own key or certificate
    /// cannot be used.
    #[error("{message}")]
    Identity { message: Box<Message> },
}

impl From<&PkiError> for LinkError {
    fn from(e: &PkiError) -> Self {
        let message = Box::new(e.message());
        Self::Identity { message }
    }
}

impl From<PkiError> for LinkError {
    fn from(e: PkiError) -> Self {
        Self::from(&e)
    }
}

impl LinkError {
    /// Returns what a person reads.
    pub fn message(&self) -> Message {
        match self {
            Self::Unreachable { address, source } => Message::ControlPlaneUnreachable {
                address: address.clone(),
                reason: source.to_string(),
            },
            Self::Silent { address } => Message::ControlPlaneSilent {
                address: address.clone(),
            },
            Self::Protocol { address, .. } => Message::ControlPlaneProtocol {
                address: address.clone(),
            },
            Self::Broken { address, .. } => Message::ControlPlaneBroken {
                address: address.clone(),
            },
            Self::Answer { address, .. } => Message::ControlPlaneAnswer {
                address: address.clone(),
            },
            Self::Refused { problem, .. } => problem.message.clone(),
            Self::Identity { message } => (**message).clone(),
        }
    }

    /// Returns whether the control plane refused what the worker is, so that a renewal
    /// may be what is missing.
    pub(super) fn is_identity_refused(&self) -> bool {
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        matches!(self, Self::Refused { status, .. } if refused.contains(status))
    }
}
