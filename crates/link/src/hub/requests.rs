//! The connection on which a worker asks: HTTP/1.1. A machine without a certificate may
//! join; one with an expired certificate may renew it; a node may ask for its own spec,
//! and says by its certificate alone which node it is.

use super::{
    limits::ConnectionLimits,
    peers::{Identified, RENEWABLE, Refusal, certificate_missing},
    polls,
    shared::{Shared, WorkerEntry},
};
use bytes::Bytes;
use domain::{ErrorCode, Message, Problem};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use protocol::{
    EventKind,
    wire::{
        ADMITTED, CONTROL_PLANES, ControlPlaneList, INSTANCE, JOIN, MAX_REQUEST_BYTES, RENEW, SPEC,
        SpecQuery,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};

/// How long the head of a request may take, and the pause before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the body of a request may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client without a certificate may stay.
const ANONYMOUS_TIME: Duration = Duration::from_secs(30);
const MAX_HEADERS: usize = 32;
const MAX_HEAD_BYTES: usize = 8 << 10;

/// A refusal with its status.
struct Refused(StatusCode, Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let status = match problem.code {
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::NodeRefused | ErrorCode::NodeFixed => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::NodeTaken => StatusCode::CONFLICT,
            ErrorCode::NodeMalformed => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::TooManyTries => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, problem)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Expired(problem) => Self(StatusCode::UNAUTHORIZED, problem),
            Refusal::NotAdmitted(problem) => Self(StatusCode::FORBIDDEN, problem),
            Refusal::Unknown(problem) => problem.into(),
        }
    }
}

fn damaged() -> Problem {
    Problem {
        code: ErrorCode::BadRequest,
        message: Message::WorkerRequestDamaged,
    }
}

/// Whose requests are answered.
struct Client {
    shared: Arc<Shared>,
    limits: ConnectionLimits,
    address: IpAddr,
    peer: Option<Identified>,
}

/// Answers requests until the connection ends.
pub(super) async fn serve<T>(
    shared: Arc<Shared>,
    limits: ConnectionLimits,
    stream: T,
    peer: Option<Identified>,
    address: IpAddr,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let is_anonymous = peer.is_none();
    let client = Arc::new(Client {
        shared,
        limits,
        address,
        peer,
    });
    let service = service_fn(move |request| {
        let client = client.clone();
        async move { Ok::<_, Infallible>(client.answer(request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let ended = match is_anonymous {
        false => serving.await,
        true => match tokio::time::timeout(ANONYMOUS_TIME, serving).await {
            Ok(ended) => ended,
            Err(_) => return,
        },
    };
    if let Err(e) = ended {
        tracing::debug!(error = %e, "a connection of a worker ended");
    }
}

impl Client {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let answer = match (request.method(), request.uri().path()) {
            (&Method::POST, JOIN) => self.join(request).await,
            (&Method::POST, RENEW) => self.renew(request).await,
            (&Method::GET, SPEC) => self.spec(&request).await,
            (&Method::GET, ADMITTED) => self.admitted().await,
            _ => Err(Refused(StatusCode::NOT_FOUND, damaged())),
        };
        answer.unwrap_or_else(|Refused(status, problem)| {
            tracing::info!(address = %self.address, %status, problem = %problem.message, "a worker's request is refused");
            let body = serde_json::to_vec(&problem).unwrap_or_default();
            response(status, body.into())
        })
    }

    async fn join(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refused> {
        self.limits.try_join(self.address).map_err(|wait| Problem {
            code: ErrorCode::TooManyTries,
            message: Message::TooManyTries {
                seconds: wait.as_secs().max(1),
            },
        })?;
        let request = read(request).await?;
        json(&self.shared.registry.join(request).await?)
    }

    async fn renew(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refused> {
        let peer = self.checked(RENEWABLE).await?;
        let request = read(request).await?;
        json(&self.shared.registry.renew(peer.node, request).await?)
    }

    async fn spec(&self, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Refused> {
        let peer = self.checked(Duration::ZERO).await?;
        let query = request.uri().query().and_then(SpecQuery::from_query);
        let query = query.ok_or_else(damaged)?;
        let worker = self.shared.worker(peer.node);
        let instance = request.headers().get(INSTANCE);
        let instance = instance.and_then(|value| value.to_str().ok());
        self.check_instance(&worker, instance).await?;
        worker.note_query();
        // Its end says that the question is not here any more.
        let mut nudges = worker.nudges.subscribe();
        let polling = polls::poll(&self.shared, &worker, peer, &query, &mut nudges);
        let Some(sending) = polling.await? else {
            return Ok(self.listing(response(StatusCode::NO_CONTENT, Bytes::new())));
        };
        // It may have been revoked while it waited.
        let peer = self.checked(Duration::ZERO).await?;
        let (full, generation) = (sending.update.full, sending.update.spec.generation);
        let bytes = polls::to_bytes(sending).await?;
        let (node, length) = (peer.node.0, bytes.len());
        tracing::debug!(node, full, generation, length, "a worker gets its spec");
        Ok(self.listing(response(StatusCode::OK, bytes)))
    }

    async fn admitted(&self) -> Result<Response<Full<Bytes>>, Refused> {
        self.checked(Duration::ZERO).await?;
        Ok(response(StatusCode::NO_CONTENT, Bytes::new()))
    }

    /// Lists the control planes in an answer, if they are known.
    fn listing(&self, mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
        let all = self.shared.registry.control_planes();
        let list = ControlPlaneList::new(all.iter().map(String::as_str));
        if !list.is_empty()
            && let Ok(value) = HeaderValue::from_str(&list.to_string())
        {
            response.headers_mut().insert(CONTROL_PLANES, value);
        }
        response
    }

    /// Returns the node, if it may ask now.
    async fn checked(&self, expired: Duration) -> Result<&Identified, Refused> {
        let missing = || Refused(StatusCode::UNAUTHORIZED, certificate_missing());
        let peer = self.peer.as_ref().ok_or_else(missing)?;
        peer.check(&self.shared, expired).await?;
        Ok(peer)
    }

    /// Refuses a process that is not the one that is connected for calls, while that one
    /// answers: two machines have the same certificate then.
    async fn check_instance(
        &self,
        worker: &WorkerEntry,
        instance: Option<&str>,
    ) -> Result<(), Refused> {
        let Some(connection) = worker.connected() else {
            return Ok(());
        };
        let (Some(present), Some(asking)) = (connection.instance(), instance) else {
            return Ok(());
        };
        if present == asking || !connection.is_alive().await {
            return Ok(());
        }
        let address = self.address.to_canonical().to_string();
        if worker.arrivals.lock().await.is_copy_due() {
            let event = EventKind::NodeCopied {
                address: address.clone(),
            };
            self.shared.events.report(worker.node, event);
        }
        let problem = Problem {
            code: ErrorCode::NodeRefused,
            message: Message::WorkerCopied { address },
        };
        // It is no matter of the certificate, so a renewal would not help.
        Err(Refused(StatusCode::CONFLICT, problem))
    }
}

/// Reads a request's JSON.
async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Problem> {
    let body = Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect();
    let body = tokio::time::timeout(BODY_TIMEOUT, body).await;
    let body = body.map_err(|_| damaged())?.map_err(|e| {
        tracing::debug!(error = %e, "a worker's request cannot be read");
        damaged()
    })?;
    // serde's message may quote a token.
    serde_json::from_slice(&body.to_bytes()).map_err(|_| damaged())
}

fn json(answer: &impl Serialize) -> Result<Response<Full<Bytes>>, Refused> {
    let body = serde_json::to_vec(answer).map_err(|e| {
        tracing::error!(error = %e, "an answer cannot be written");
        Problem {
            code: ErrorCode::Internal,
            message: Message::WorkerAnswerDamaged,
        }
    })?;
    Ok(response(StatusCode::OK, body.into()))
}

fn response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let is_json = status != StatusCode::OK;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    if is_json && status != StatusCode::NO_CONTENT {
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}
