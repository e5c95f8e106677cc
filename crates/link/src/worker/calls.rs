//! The connection on which the control plane asks: the worker dials it, then the roles
//! are swapped and the worker serves HTTP/2. It answers about this node and about
//! nothing else of the machine.

use super::{
    credentials::Credentials,
    dial::dial,
    error::LinkError,
    retry::{self, RECONNECT},
    state::{self, Greeting},
    targets::Targets,
    tunnel::Tunnels,
};
use bytes::Bytes;
use domain::{ErrorCode, Message, NodeId, Problem, Slot, TenantName};
use futures_util::StreamExt;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use protocol::{
    Location, Nodes,
    wire::{CALLS, DNS_COUNTS, HEARTBEAT, MAX_ANSWER_BYTES, RESOURCES, SILENCE, STATE, STATISTICS},
};
use serde::Serialize;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The most calls at a time on a connection.
const MAX_CALLS: u32 = 512;
/// How long the control plane may take to its first call.
const FIRST_CALL: Duration = Duration::from_secs(30);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What serves the calls.
#[derive(Clone)]
pub(super) struct Calls {
    pub node: NodeId,
    pub credentials: Arc<Credentials>,
    pub targets: Targets,
    pub nodes: Arc<dyn Nodes>,
    pub tunnels: Tunnels,
    /// What this process calls itself.
    pub instance: String,
    pub version: String,
}

impl Calls {
    /// Serves calls forever: connects again whenever the connection ends.
    pub async fn run(mut self) {
        let mut was_lost = false;
        loop {
            match self.connect_and_serve(&mut was_lost).await {
                Ok(()) => tracing::debug!("the control plane ended the connection for calls"),
                Err(e) => {
                    match std::mem::replace(&mut was_lost, true) {
                        false => {
                            tracing::warn!(error = %e, cause = ?e, "no connection for the control plane's calls");
                        }
                        true => {
                            tracing::debug!(error = %e, cause = ?e, "still no connection for calls")
                        }
                    }
                    self.targets.next();
                }
            }
            retry::pause(RECONNECT).await;
        }
    }

    async fn connect_and_serve(&self, was_lost: &mut bool) -> Result<(), LinkError> {
        let to = self.targets.current();
        let stream = dial(to, self.credentials.tls(CALLS)?).await?;
        let called = Arc::new(AtomicBool::new(false));
        let (calls, heard) = (self.clone(), called.clone());
        let service = service_fn(move |request| {
            heard.store(true, Ordering::Relaxed);
            let calls = calls.clone();
            async move { Ok::<_, Infallible>(calls.answer(request).await) }
        });
        let serving = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(HEARTBEAT)
            .keep_alive_timeout(SILENCE.saturating_sub(HEARTBEAT))
            .max_concurrent_streams(MAX_CALLS)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return self.ended(ended),
            () = tokio::time::sleep(FIRST_CALL) => {}
        }
        // The keep-alive begins with the handshake of HTTP/2 only.
        if !called.load(Ordering::Relaxed) {
            return Err(LinkError::Silent {
                address: to.to_string(),
            });
        }
        if std::mem::take(was_lost) {
            tracing::info!(control_plane = %to, "the control plane calls again");
        }
        self.ended(serving.await)
    }

    fn ended(&self, ended: hyper::Result<()>) -> Result<(), LinkError> {
        ended.map_err(|source| LinkError::Broken {
            address: self.targets.current().to_string(),
            source,
        })
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let node = self.node;
        if request.method() == Method::CONNECT {
            return self.tunnel(request).await;
        }
        if request.method() != Method::GET {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        match request.uri().path() {
            STATE => {
                let greeting = Greeting {
                    version: self.version.clone(),
                    instance: self.instance.clone(),
                };
                let lines = state::lines(node, self.nodes.clone(), greeting);
                let frames = lines.map(|line| Ok(Frame::data(line)));
                Response::new(StreamBody::new(frames).boxed_unsync())
            }
            STATISTICS => json(self.nodes.statistics(node).await),
            RESOURCES => json(self.nodes.resources(node).await),
            DNS_COUNTS => match tenant(request.uri()) {
                Some((slot, name)) => {
                    json(self.nodes.dns_counts(Location { node, slot }, &name).await)
                }
                None => problem(&Problem {
                    code: ErrorCode::DnsUnavailable,
                    message: Message::DnsUnanswered,
                }),
            },
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    async fn tunnel(&self, request: Request<Incoming>) -> Response<Body> {
        match self.tunnels.open(request).await {
            Ok(opened) => {
                tokio::spawn(opened.copy());
                empty(StatusCode::OK)
            }
            Err(e) => problem(&e),
        }
    }
}

/// Reads `slot` and `name` of a query. Neither needs escapes.
fn tenant(uri: &Uri) -> Option<(Slot, TenantName)> {
    let query = uri.query()?;
    let value = |key: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(k, _)| *k == key).map(|(_, value)| value)
    };
    let slot = Slot::new(value("slot")?.parse().ok()?)?;
    Some((slot, TenantName::parse(value("name")?).ok()?))
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = status;
    response
}

fn problem(problem: &Problem) -> Response<Body> {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(Full::from(body).boxed_unsync());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

fn json<T: Serialize>(answer: Result<T, Problem>) -> Response<Body> {
    let damaged = Problem {
        code: ErrorCode::Internal,
        message: Message::WorkerAnswerDamaged,
    };
    let bytes = match answer.map(|value| serde_json::to_vec(&value)) {
        Ok(Ok(bytes)) if bytes.len() <= MAX_ANSWER_BYTES => bytes,
        Ok(Ok(bytes)) => {
            tracing::error!(bytes = bytes.len(), "an answer is too long for the wire");
            return problem(&damaged);
        }
        Ok(Err(e)) => {
            tracing::error!(error = %e, "an answer cannot be written");
            return problem(&damaged);
        }
        Err(e) => return problem(&e),
    };
    let mut response = Response::new(Full::from(bytes).boxed_unsync());
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
