//! From the socket to the router. `axum::serve` waits for ever for a request's
//! head and for a client that takes no answer, and takes any number of
//! connections, so a few slow clients could use up every file descriptor; here
//! all three end, and what waits for a slow client is little.

mod watched;

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
use std::{io, net::SocketAddr, os::fd::AsRawFd, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tower::ServiceExt;
use watched::Watched;

/// How long nothing is accepted after the system refused (no descriptor left,
/// mostly): it would refuse again at once.
const BREATH: Duration = Duration::from_millis(200);

/// Largest head of a request, and what of an answer is gathered before the
/// client takes it, bytes. Browsers send a few kilobytes.
const BUFFER: usize = 64 * 1024;

/// What the kernel may hold of an answer beyond what is on its way, bytes: by
/// itself it would take megabytes from us for each client that does not read.
const UNSENT: u32 = 128 * 1024;

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest wait for a request's head; also for the next one on a
    /// connection that is kept.
    pub head: Duration,
    /// Longest time in which a client takes nothing of an answer that waits.
    pub stalled: Duration,
    /// Connections at one time. Who comes then waits in the kernel's line.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            stalled: Duration::from_secs(30),
            connections: 4096,
        }
    }
}

/// Serves until `ended`, then lets the requests under way come to theirs.
/// Dropped, it cuts every connection off.
pub async fn run(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    ended: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(BUFFER)
        .keep_alive(true);
    let mut open = JoinSet::new();
    tokio::pin!(ended);
    loop {
        // Forgets those that are through.
        while open.try_join_next().is_some() {}
        let (stream, peer, place) = tokio::select! {
            biased;
            () = &mut ended => break,
            next = next(&listener, &places) => next,
        };
        // Nagle's algorithm would hold small answers back for 40 ms.
        let _ = stream.set_nodelay(true);
        hold_little(&stream);
        let stream = Watched::new(stream, limits.stalled);
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        open.spawn(async move {
            let _place = place;
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, %peer, "a connection was cut off");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Bounds what the kernel takes from us before it is sent (`tcp(7)`).
fn hold_little(stream: &TcpStream) {
    let unsent = UNSENT;
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
        tracing::debug!(error = %e, "the kernel gathers as much of an answer as it likes");
    }
}

/// The next connection with its place. An error is one client's, or passes: it
/// never ends the server.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let Ok(place) = places.clone().acquire_owned().await else {
        // Nobody closes the semaphore.
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(e) if is_the_clients(&e) => {}
            Err(e) => {
                tracing::warn!(error = %e, "no connection can be accepted just now");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

fn is_the_clients(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        e.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Takes as many descriptors as the system lets us: the usual 1,024 are fewer
/// than the connections we allow.
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
        tracing::warn!(error = %e, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests;
