//! Why the program does not start, or a command does not work: a sentence
//! that says what to do, with the cause kept.

use domain::Failure;
use provisioning::PortError;
use std::{io, net::SocketAddr};
use store::{SealError, StoreError};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("{}", listen(*address, source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Another server works in the same root.
    #[error("another maliknode serves from {0} already: stop it first, or choose another --root")]
    Running(std::path::PathBuf),
    /// A folder or file of ours cannot be used.
    #[error("{what} cannot be used: run MalikNode as root, or choose another --root")]
    Folder {
        /// Which.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error("{sentence}")]
    Store {
        /// What to tell people.
        sentence: String,
        /// What the database said.
        source: StoreError,
    },
    /// The key file cannot be used.
    #[error("the key file cannot be used")]
    Key(#[from] SealError),
    /// Something of the machine that nothing works without.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The core says no.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// The web server ended by itself.
    #[error("the web server has ended")]
    Web(#[source] io::Error),
    /// The command needs a word more.
    #[error("{0}")]
    Usage(String),
}

impl StartError {
    /// Whether it is the database that does not answer or cannot be read, as
    /// opposed to one that says no: then tunnels need not wait for it.
    pub const fn is_no_database(&self) -> bool {
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
            sentence: source.failure().sentence,
            source,
        }
    }
}

fn listen(address: SocketAddr, e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::AddrInUse => {
            let mut other = address;
            other.set_port(address.port().checked_add(1).unwrap_or(8085));
            format!(
                "{address} is taken by another program: choose another with --listen {other}, or find it with `ss -ltnp 'sport = :{}'`",
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
    fn a_taken_port_is_told_with_what_to_do() {
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
