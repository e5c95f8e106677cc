//! From the socket to the router. `axum::serve` waits for ever for a request's
//! head and takes any number of connections, so a few slow clients could use
//! up every file descriptor; here both end.

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
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tower::ServiceExt;

/// How long nothing is accepted after the system refused (no descriptor left,
/// mostly): it would refuse again at once.
const BREATH: Duration = Duration::from_millis(200);

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest wait for a request's head; also for the next one on a
    /// connection that is kept.
    pub head: Duration,
    /// Connections at one time. Who comes then waits in the kernel's line.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
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
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::oneshot,
        task::JoinHandle,
    };

    /// Only against a test that would hang.
    const PATIENCE: Duration = Duration::from_secs(60);

    async fn served(limits: Limits) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
            format!("you are {}", peer.ip())
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let router = Router::new().route("/", get(peer));
        let server = tokio::spawn(run(listener, router, limits, async move {
            let _ = ended.await;
        }));
        (address, end, server)
    }

    async fn connect(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// All that comes until the server closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut all = Vec::new();
        let read = stream.read_to_end(&mut all);
        let read = tokio::time::timeout(PATIENCE, read).await;
        // A reset is an end too.
        let _ = read.expect("the server closes");
        String::from_utf8_lossy(&all).into_owned()
    }

    const WHOLE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    fn short(connections: usize) -> Limits {
        Limits {
            head: Duration::from_millis(300),
            connections,
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_is_not_waited_for() {
        let (address, _end, _server) = served(short(8)).await;
        let slow = connect(address, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow").await;
        assert!(!rest(slow).await.contains("200 OK"));
        let whole = rest(connect(address, WHOLE).await).await;
        assert!(whole.ends_with("you are 127.0.0.1"), "{whole}");
    }

    #[tokio::test]
    async fn more_idle_connections_than_places_do_not_stop_the_service() {
        let (address, _end, _server) = served(short(2)).await;
        let mut idle = Vec::new();
        for _ in 0..8 {
            idle.push(connect(address, "").await);
        }
        let whole = rest(connect(address, WHOLE).await).await;
        assert!(whole.contains("200 OK"), "{whole}");
    }

    #[tokio::test]
    async fn a_kept_connection_does_not_hold_the_end_up() {
        let limits = Limits {
            head: Duration::from_secs(3600),
            connections: 2,
        };
        let (address, end, server) = served(limits).await;
        let mut kept = connect(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut first = [0; 15];
        kept.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        end.send(()).unwrap();
        tokio::time::timeout(PATIENCE, server)
            .await
            .expect("it ends")
            .unwrap();
    }
}
