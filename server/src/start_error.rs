//! Why the program does not start, or why a command fails. Each message says
//! what to do, and each error has its cause.

use domain::Failure;
use provisioning::PortError;
use seal::SealError;
use std::{io, net::SocketAddr};
use store::StoreError;

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
    #[error("the key file cannot be used")]
    Key(#[from] SealError),
    /// A part of the machine without which nothing works.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The core refuses.
    #[error("{0}")]
    Failure(#[from] Failure),
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
            message: source.failure().message,
            source,
        }
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
