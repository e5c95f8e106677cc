//! Why the program does not start, or why a command fails. Each message says
//! what to do, and each error has its cause.

use crate::mail::MailError;
use domain::{Failure, Message, NameError};
use link::worker::LinkError;
use provisioning::PortError;
use seal::SealError;
use std::{io, net::SocketAddr};
use store::{CopyError, StoreError};

/// Why the program does not start, or why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("{}", listen(*address, source))]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    /// Another server uses the same root folder.
    #[error("another maliknode serves from {0} already: stop it first, or choose another --root")]
    Running(std::path::PathBuf),
    /// A folder or file of the installation cannot be used.
    #[error("{path} cannot be used: run MalikNode as root, or choose another --root")]
    Folder { path: String, source: io::Error },
    /// The database cannot be used.
    #[error("{message}")]
    Store { message: String, source: StoreError },
    /// The key file cannot be used.
    #[error("{0}")]
    Key(String),
    /// A part of the machine without which nothing works.
    #[error("{message}")]
    Port {
        message: String,
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Mail is set up and cannot be sent.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The core refuses.
    #[error("{0}")]
    Failure(String),
    /// The web server ended by itself.
    #[error("the web server has ended")]
    Web(#[source] io::Error),
    /// The command line lacks an argument.
    #[error("{0}")]
    Usage(String),
}

impl StartError {
    /// Returns whether the database does not answer or cannot be read, as
    /// opposed to one that refuses: then tunnels need not wait for it.
    pub const fn is_database_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Store {
                source: StoreError::Unopenable { .. }
                    | StoreError::TimedOut
                    | StoreError::Database(_)
                    | StoreError::Migrate(_),
                ..
            }
        )
    }
}

impl From<StoreError> for StartError {
    fn from(source: StoreError) -> Self {
        Self::Store {
            message: texts::english().failure(&source.failure()),
            source,
        }
    }
}

impl From<PortError> for StartError {
    fn from(e: PortError) -> Self {
        Self::Port {
            message: texts::english().message(&e.message),
            cause: e.cause,
        }
    }
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        Self::Failure(texts::english().failure(&failure))
    }
}

impl From<&Message> for StartError {
    fn from(message: &Message) -> Self {
        Self::Failure(texts::english().message(message))
    }
}

impl From<LinkError> for StartError {
    fn from(e: LinkError) -> Self {
        Self::Port {
            message: texts::english().message(&e.message()),
            cause: Some(e.into()),
        }
    }
}

impl From<CopyError> for StartError {
    fn from(e: CopyError) -> Self {
        Self::Port {
            message: texts::english().message(&e.message()),
            cause: Some(e.into()),
        }
    }
}

impl From<NameError> for StartError {
    fn from(e: NameError) -> Self {
        Failure::from(e).into()
    }
}

impl From<SealError> for StartError {
    fn from(e: SealError) -> Self {
        Self::Key(texts::english().message(&key_message(&e)))
    }
}

/// Returns what is wrong with the key file.
pub(crate) fn key_message(e: &SealError) -> Message {
    match e {
        SealError::File { path, source } => Message::SealKeyUnusable {
            path: path.display().to_string(),
            reason: source.to_string(),
        },
        SealError::Permissions { path, mode } => Message::SealKeyOpen {
            path: path.display().to_string(),
            mode: format!("{mode:03o}"),
        },
        SealError::Content { path } => Message::SealKeyMalformed {
            path: path.display().to_string(),
        },
        SealError::Random(_) | SealError::Unopenable { .. } => Message::Unexpected,
    }
}

fn listen(address: SocketAddr, e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::AddrInUse => {
            let mut suggestion = address;
            suggestion.set_port(address.port().checked_add(1).unwrap_or(8085));
            format!(
                "{address} is taken by another program: choose another with --listen {suggestion}, or find it with `ss -ltnp 'sport = :{}'`",
                address.port()
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine has no address {}: choose one of its own with --listen, or 0.0.0.0 for all",
                address.ip()
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "listening on {address} needs root: choose a port from 1024 on with --listen, or run as root"
            )
        }
        _ => format!("listening on {address} does not work"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_reported_with_a_fix() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let source = std::net::TcpListener::bind(address).unwrap_err();
        let text = StartError::Listen { address, source }.to_string();
        assert!(
            text.contains("is taken by another program: choose another with --listen"),
            "{text}"
        );
    }
}
