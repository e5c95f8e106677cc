//! The accept loop, from the socket to the router. `axum::serve` waits forever
//! for a request's head and for a client that does not read its answer, and
//! accepts any number of connections, so a few slow clients could use up every
//! file descriptor. Here all three are limited, and so are the memory that a
//! slow client holds and the connections of one address.

mod per_address;
mod stall_timeout;

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use ipnet::IpNet;
use per_address::OpenConnections;
use stall_timeout::StallTimeoutStream;
use std::{io, net::SocketAddr, os::fd::AsRawFd, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tower::ServiceExt;

/// The pause after the system could not accept a connection, mostly because no
/// file descriptor is left: it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The largest head of a request, and how much of an answer is buffered before
/// the client reads it, in bytes. Browsers send a few kilobytes.
const BUFFER: usize = 64 * 1024;

/// How much of an answer the kernel buffers beyond what is in flight, in bytes.
/// By default it would buffer megabytes for each client that does not read.
const MAX_UNSENT: u32 = 128 * 1024;

/// The limits on clients.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest wait for a request's head, also for the next one on a
    /// persistent connection.
    pub head: Duration,
    /// The longest time in which a client reads nothing of a waiting answer.
    pub stalled: Duration,
    /// The number of open connections. Further clients wait in the kernel's
    /// queue.
    pub connections: usize,
    /// The number of open connections from one address, or from one /64 of IPv6. A
    /// further one is closed at once.
    pub per_address: usize,
    /// The addresses without that limit: reverse proxies, each of which has the
    /// connections of all its visitors.
    pub unlimited: Vec<IpNet>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            stalled: Duration::from_secs(30),
            connections: 4096,
            per_address: 256,
            unlimited: Vec::new(),
        }
    }
}

/// Serves until `ended` completes, then lets the open requests finish. Dropping
/// the future cuts every connection off.
pub async fn run(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    ended: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(limits.connections));
    let clients = OpenConnections::new(limits.per_address, limits.unlimited);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(BUFFER)
        .keep_alive(true);
    let mut open = JoinSet::new();
    tokio::pin!(ended);
    loop {
        // Drops the tasks of closed connections.
        while open.try_join_next().is_some() {}
        let (stream, peer, permit) = tokio::select! {
            biased;
            () = &mut ended => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some(counted) = clients.add(peer.ip()) else {
            tracing::debug!(%peer, "a connection too many of this address was closed");
            // Reset, so that the kernel remembers nothing of it (TIME_WAIT).
            let _ = stream.set_zero_linger();
            continue;
        };
        // Nagle's algorithm would delay small answers by 40 ms.
        let _ = stream.set_nodelay(true);
        limit_unsent(&stream);
        let stream = StallTimeoutStream::new(stream, limits.stalled);
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        open.spawn(async move {
            let _held = (permit, counted);
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, %peer, "a connection was cut off");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Limits what the kernel buffers before it is sent (`tcp(7)`).
fn limit_unsent(stream: &TcpStream) {
    let unsent = MAX_UNSENT;
    // SAFETY: setsockopt(2) reads these four bytes, and the descriptor is open.
    let set = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const unsent).cast(),
            size_of_val(&unsent) as libc::socklen_t,
        )
    };
    if set != 0 {
        let e = io::Error::last_os_error();
        tracing::debug!(error = %e, "the kernel's buffer for a connection is not limited");
    }
}

/// Waits for a permit, then for a connection. An error concerns one client or is
/// temporary: it never ends the server.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let Ok(permit) = permits.clone().acquire_owned().await else {
        // The semaphore is never closed.
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(e) if is_client_error(&e) => {}
            Err(e) => {
                tracing::warn!(error = %e, "no connection can be accepted at the moment");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_client_error(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        e.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Raises the limit of open files to the highest that the system allows: the
/// usual 1,024 are fewer than the connections that are accepted.
pub fn raise_file_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: getrlimit(2) and setrlimit(2) write and read this one struct.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
        }
    };
    if !raised {
        let e = io::Error::last_os_error();
        tracing::warn!(error = %e, "the limit of open files cannot be raised");
    }
}

#[cfg(test)]
mod tests;
