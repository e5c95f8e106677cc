//! Clients that speak the wire without being a worker.

use super::rig::{LIMIT, Rig};
use bytes::Bytes;
use domain::Problem;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use link::worker::Identity;
use pki::{SERVER_NAME, client_config};
use protocol::wire::{CALLS, NUDGE, REQUESTS, STATE};
use rustls::pki_types::ServerName;
use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Connects with an identity, or with none.
pub async fn dial(
    rig: &Rig,
    identity: Option<&Identity>,
    alpn: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let authority = rig.memory.authority.certificate_pem();
    let own = identity.map(|i| (i.certificate.as_str(), i.key.as_str()));
    let tls = client_config(authority, own, alpn).unwrap();
    let stream = TcpStream::connect(rig.address).await?;
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    TlsConnector::from(tls).connect(name, stream).await
}

/// Sends a request on a connection of its own. Fails where the hub says nothing.
pub async fn ask(
    rig: &Rig,
    identity: Option<&Identity>,
    (method, path): (Method, &str),
    body: impl Into<Bytes>,
) -> io::Result<(StatusCode, Bytes)> {
    let stream = dial(rig, identity, REQUESTS).await?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "control")
        .body(Full::new(body.into()))
        .unwrap();
    let answer = tokio::time::timeout(LIMIT, sender.send_request(request)).await?;
    let answer = answer.map_err(io::Error::other)?;
    let status = answer.status();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?;
    Ok((status, body.to_bytes()))
}

/// Sends a request that is refused.
pub async fn refusal(
    rig: &Rig,
    identity: Option<&Identity>,
    request: (Method, &str),
    body: impl Into<Bytes>,
) -> (u16, Problem) {
    let (status, body) = ask(rig, identity, request, body).await.unwrap();
    (status.as_u16(), serde_json::from_slice(&body).unwrap())
}

/// The nudges that a worker of the version before gets: it answers that there is no such
/// thing.
pub struct Nudges {
    pub begun: AtomicU32,
    /// How many may be answered.
    pub answers: Semaphore,
}

/// A connection for calls whose stream of state the test writes.
pub struct StateWriter {
    pub nudges: Arc<Nudges>,
    lines: Option<mpsc::UnboundedSender<Bytes>>,
    served: tokio::task::JoinHandle<()>,
}

impl StateWriter {
    pub async fn connect(rig: &Rig, identity: &Identity) -> Self {
        let stream = dial(rig, Some(identity), CALLS).await.unwrap();
        let (lines, receiver) = mpsc::unbounded_channel();
        let receiver = std::sync::Mutex::new(Some(receiver));
        let nudges = Arc::new(Nudges {
            begun: AtomicU32::new(0),
            answers: Semaphore::new(0),
        });
        let nudged = nudges.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let path = request.uri().path();
            let receiver = match path {
                STATE => receiver.lock().unwrap().take(),
                _ => None,
            };
            let nudged = (path == NUDGE).then(|| nudged.clone());
            async move {
                if let Some(nudged) = nudged {
                    nudged.begun.fetch_add(1, Ordering::Relaxed);
                    nudged.answers.acquire().await.unwrap().forget();
                }
                Ok::<_, Infallible>(answer(receiver))
            }
        });
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service);
        let served = tokio::spawn(async move { drop(serving.await) });
        Self {
            nudges,
            lines: Some(lines),
            served,
        }
    }

    /// Sends bytes; fails once the hub has ended the stream.
    pub fn send(&self, bytes: impl Into<Bytes>) {
        let lines = self.lines.as_ref().unwrap();
        // The hub may have ended it: that is what tests wait for.
        let _ = lines.send(bytes.into());
    }

    /// Ends the stream.
    pub fn cut(&mut self) {
        self.lines = None;
    }

    /// Waits until the hub has closed the connection.
    pub async fn is_closed(&mut self) {
        let closed = tokio::time::timeout(LIMIT, &mut self.served).await;
        closed.expect("the hub closes the connection").unwrap();
    }

    pub fn is_open(&self) -> bool {
        !self.served.is_finished()
    }
}

impl Drop for StateWriter {
    fn drop(&mut self) {
        self.served.abort();
    }
}

fn answer(
    lines: Option<mpsc::UnboundedReceiver<Bytes>>,
) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let Some(lines) = lines else {
        let mut response = Response::new(Full::default().boxed_unsync());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let frames = futures_util::stream::unfold(lines, async |mut lines| {
        let bytes = lines.recv().await?;
        Some((Ok(Frame::data(bytes)), lines))
    });
    Response::new(StreamBody::new(frames).boxed_unsync())
}
