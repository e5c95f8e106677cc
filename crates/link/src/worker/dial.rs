//! A connection to a control plane: TCP, then TLS with the installation's authority.

use super::{address::ControlPlane, error::LinkError};
use pki::SERVER_NAME;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{io, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long connecting and the handshake may take together.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Dials the control plane with this configuration, which has one ALPN.
///
/// # Errors
/// Why there is no connection.
pub(super) async fn dial(
    to: &ControlPlane,
    tls: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, LinkError> {
    let dialling = tokio::time::timeout(DIAL_TIMEOUT, dial_slowly(to, tls));
    let silent = |_| LinkError::Silent {
        address: to.to_string(),
    };
    dialling.await.map_err(silent)?
}

async fn dial_slowly(
    to: &ControlPlane,
    tls: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, LinkError> {
    let address = to.to_string();
    let connected = TcpStream::connect(to.authority()).await;
    let stream = connected.map_err(|source| LinkError::Unreachable {
        address: address.clone(),
        source,
    })?;
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY cannot be set");
    }
    let expected = tls.alpn_protocols.first().cloned();
    let name = ServerName::try_from(SERVER_NAME).map_err(|e| LinkError::Protocol {
        address: address.clone(),
        source: io::Error::other(e),
    })?;
    let handshake = TlsConnector::from(tls).connect(name, stream).await;
    let stream = handshake.map_err(|source| match pki::refusal(&source) {
        Some(refusal) => LinkError::from(refusal),
        None => LinkError::Protocol {
            address: address.clone(),
            source,
        },
    })?;
    let (_, session) = stream.get_ref();
    match session.alpn_protocol() == expected.as_deref() {
        true => Ok(stream),
        false => Err(LinkError::Protocol {
            address,
            source: io::Error::other("no common protocol (ALPN)"),
        }),
    }
}
