//! Takes connections: TLS within its bounds, then what the client asks for by ALPN.

use super::{
    calls,
    limits::{ConnectionLimits, Place},
    peers::Identified,
    requests,
    shared::Shared,
    stalls::NoStalls,
};
use protocol::wire::{CALLS, REQUESTS};
use rustls::ServerConfig;
use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a connection could not be taken, as when there are no more file
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `shutdown` completes; then all of them end.
pub(super) async fn run(
    shared: Arc<Shared>,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let tls = TlsAcceptor::from(tls);
    let limits = ConnectionLimits::default();
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            Some(ended) = connections.join_next() => {
                if let Err(e) = ended {
                    tracing::error!(error = %e, "the task of a connection failed");
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                tracing::warn!(error = %e, "a connection of a worker cannot be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = limits.take(address.ip()) else {
            tracing::debug!(%address, "there are too many connections of workers");
            continue;
        };
        let (shared, tls, limits) = (shared.clone(), tls.clone(), limits.clone());
        connections.spawn(async move {
            serve(shared, limits, place, tls, (stream, address)).await;
        });
    }
}

async fn serve(
    shared: Arc<Shared>,
    limits: ConnectionLimits,
    mut place: Place,
    tls: TlsAcceptor,
    (stream, address): (TcpStream, SocketAddr),
) {
    let address: IpAddr = address.ip();
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY cannot be set");
    }
    let handshake = tls.accept(NoStalls::new(stream));
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => {
            tracing::info!(%address, error = %e, "a handshake with a worker failed");
            return;
        }
        Err(_) => {
            tracing::debug!(%address, "a handshake with a worker took too long");
            return;
        }
    };
    let (_, session) = stream.get_ref();
    let peer = match Identified::read(&shared, session.peer_certificates()) {
        Ok(peer) => peer,
        Err(e) => {
            tracing::info!(%address, error = %e, "a worker's certificate cannot be used");
            return;
        }
    };
    let protocol = session.alpn_protocol().unwrap_or_default().to_vec();
    match (protocol.as_slice(), peer) {
        (REQUESTS, peer) => {
            if peer.is_some() {
                place.identify();
            }
            requests::serve(shared, limits, stream, peer, address).await;
        }
        (CALLS, Some(peer)) => match peer.check(&shared, Duration::ZERO).await {
            Ok(()) => {
                place.identify();
                calls::serve(shared, stream, peer, address).await;
            }
            Err(refusal) => {
                tracing::info!(%address, node = peer.node.0, ?refusal, "a worker's connection for calls is refused");
            }
        },
        (CALLS, None) => tracing::info!(%address, "a connection for calls has no certificate"),
        _ => tracing::info!(%address, "a connection has no protocol of workers"),
    }
}
