//! A connection on which the control plane asks a worker: an HTTP/2 client over a
//! connection that the worker dialled.

use super::tunnel::Tunnel;
use bytes::Bytes;
use domain::{ErrorCode, Message, Problem, Slot, TenantName, Timestamp};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use protocol::{
    DnsStream, NodeStatistics, ReadingOrder,
    wire::{
        CLOCK, DNS_COUNTS, INSTANCE, MAX_ANSWER_BYTES, NUDGE, PRESENCE, RAISED, READING, SINCE,
        STATE, STATISTICS,
    },
};
use serde::de::DeserializeOwned;
use std::{
    fmt::Display,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    task::AbortHandle,
};

/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the worker may take to begin its stream of state.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a worker may take to answer whether it is still there.
const PRESENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// The most connections to AdGuard Homes of a worker at a time.
const MAX_TUNNELS: usize = 64;
/// The longest problem that is read, in bytes.
const MAX_PROBLEM_BYTES: usize = 16 << 10;
/// The longest text of a worker's problem that is shown, in bytes.
const MAX_TEXT_BYTES: usize = 500;
/// What the worker may send of one answer before it is read: at 50 ms there and back,
/// the counters of 50,000 peers take 2 s.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same of all together: connections that are not read do not keep the others from
/// being read.
const CONNECTION_WINDOW: u32 = (MAX_TUNNELS as u32 + 16) * STREAM_WINDOW;

/// Returns the problem of a worker that does not answer.
pub(super) fn unreachable() -> Problem {
    Problem {
        code: ErrorCode::NodeUnreachable,
        message: Message::WorkerUnreachable,
    }
}

pub(super) fn dns_unavailable() -> Problem {
    Problem {
        code: ErrorCode::DnsUnavailable,
        message: Message::DnsUnanswered,
    }
}

fn damaged(why: &dyn Display) -> Problem {
    tracing::warn!(error = %why, "a worker's answer cannot be used");
    Problem {
        code: ErrorCode::NodeUnreachable,
        message: Message::WorkerAnswerDamaged,
    }
}

/// What a call carries: nothing, or the archive of a folder.
pub(super) type CallBody = UnsyncBoxBody<Bytes, io::Error>;

/// Returns the body of a call.
pub(super) fn call_body<B>(body: B) -> CallBody
where
    B: Body<Data = Bytes, Error = io::Error> + Send + 'static,
{
    body.boxed_unsync()
}

/// A worker's process that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Presence {
    /// What it calls itself; `None` for a worker of the version before.
    pub instance: Option<String>,
}

/// A connection to a worker. It ends when it is dropped.
pub(super) struct CallConnection {
    /// The serial number of the worker's certificate.
    pub serial: String,
    sender: SendRequest<CallBody>,
    driver: AbortHandle,
    tunnels: Arc<Semaphore>,
    /// What the worker's process calls itself, once it has said so.
    instance: OnceLock<String>,
}

impl Drop for CallConnection {
    fn drop(&mut self) {
        self.end();
    }
}

impl CallConnection {
    /// Begins HTTP/2 on a connection.
    ///
    /// # Errors
    /// What the worker did instead.
    pub async fn open<T>(stream: T, serial: String) -> hyper::Result<Arc<Self>>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(0)
            .handshake(TokioIo::new(stream))
            .await?;
        let driver = tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, "a connection to a worker ended");
            }
        });
        Ok(Arc::new(Self {
            serial,
            sender,
            driver: driver.abort_handle(),
            tunnels: Arc::new(Semaphore::new(MAX_TUNNELS)),
            instance: OnceLock::new(),
        }))
    }

    /// Ends it.
    pub fn end(&self) {
        self.driver.abort();
    }

    /// Notes what the worker's process calls itself.
    pub fn set_instance(&self, instance: String) {
        // It says so once.
        let _ = self.instance.set(instance);
    }

    /// Returns what the worker's process calls itself, if it has said so.
    pub fn instance(&self) -> Option<&str> {
        self.instance.get().map(String::as_str)
    }

    /// Calls the worker.
    ///
    /// # Errors
    /// `NodeUnreachable`.
    pub(super) async fn send(
        &self,
        method: Method,
        uri: impl TryInto<Uri, Error: Into<http::Error>>,
    ) -> Result<Response<Incoming>, Problem> {
        let nothing = Empty::new().map_err(io::Error::other);
        let request = Request::builder().method(method).uri(uri);
        self.send_request(request.body(call_body(nothing))).await
    }

    /// Does the same with a whole request.
    ///
    /// # Errors
    /// `NodeUnreachable`.
    pub(super) async fn send_request(
        &self,
        request: http::Result<Request<CallBody>>,
    ) -> Result<Response<Incoming>, Problem> {
        let request = request.map_err(|e| damaged(&e))?;
        let mut sender = self.sender.clone();
        let answer = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        answer.await.map_err(|e| {
            tracing::debug!(error = %e, "a call of a worker failed");
            unreachable()
        })
    }

    /// Returns the worker's stream of state.
    ///
    /// # Errors
    /// `NodeUnreachable`.
    pub async fn state(&self) -> Result<Incoming, Problem> {
        let path = uri(&format!("{STATE}?{RAISED}"));
        let asking = tokio::time::timeout(STATE_TIMEOUT, self.send(Method::GET, path));
        let answer = asking.await.unwrap_or_else(|_| Err(unreachable()))?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            status => Err(damaged(&status)),
        }
    }

    /// Returns whether the worker's process still answers on this connection.
    pub async fn is_alive(&self) -> bool {
        self.presence().await.is_some()
    }

    /// Asks for the worker's process; `None` if it does not answer.
    pub async fn presence(&self) -> Option<Presence> {
        let asking = self.send(Method::GET, uri(PRESENCE));
        let answer = tokio::time::timeout(PRESENCE_TIMEOUT, asking).await;
        // Any answer will do, that there is no such path included.
        let answer = answer.ok()?.ok()?;
        let instance = answer.headers().get(INSTANCE);
        let instance = instance.and_then(|value| value.to_str().ok());
        Some(Presence {
            instance: instance.map(str::to_owned),
        })
    }

    /// Makes the worker ask for its spec.
    pub async fn nudge(&self) {
        let asking = self.send(Method::GET, uri(NUDGE));
        let answer = tokio::time::timeout(CALL_TIMEOUT, asking).await;
        // It asks at intervals anyway, and one of the version before only then.
        if !matches!(answer, Ok(Ok(_))) {
            tracing::debug!("a worker was not nudged");
        }
    }

    /// Asks for a value.
    ///
    /// # Errors
    /// The worker's problem; `NodeUnreachable` if there is no answer in time, or one that
    /// cannot be read.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let (_, value) = self.get_with_headers(path).await?;
        Ok(value)
    }

    /// Asks for the counters of all peers, or of those that have changed since an earlier
    /// reading. Returns with them the time by the worker's clock, if it says that.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn statistics(
        &self,
        earlier: Option<&ReadingOrder>,
    ) -> Result<(NodeStatistics, Option<Timestamp>), Problem> {
        let path = match earlier {
            Some(ReadingOrder { boot, nanos }) => format!("{STATISTICS}?since={boot}.{nanos}"),
            None => STATISTICS.to_owned(),
        };
        let (headers, peers) = self.get_with_headers(&path).await?;
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let order = |name| text(name).and_then(ReadingOrder::parse);
        let clock = text(CLOCK).and_then(|millis| millis.parse().ok());
        let statistics = NodeStatistics {
            taken: order(READING),
            // What was not asked for is no answer.
            since: order(SINCE).filter(|since| Some(since) == earlier),
            peers,
        };
        Ok((statistics, clock.map(Timestamp)))
    }

    async fn get_with_headers<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<(HeaderMap, T), Problem> {
        let asking = async {
            let answer = self.send(Method::GET, uri(path)).await?;
            if answer.status() != StatusCode::OK {
                return Err(problem_of(answer).await);
            }
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES);
            let body = body.collect().await.map_err(|e| damaged(&e))?;
            let value = serde_json::from_slice(&body.to_bytes()).map_err(|e| damaged(&e))?;
            Ok((head.headers, value))
        };
        let answer = tokio::time::timeout(CALL_TIMEOUT, asking).await;
        answer.unwrap_or_else(|_| Err(unreachable()))
    }

    /// Asks for the counters of a tenant's AdGuard Home.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn dns_counts<T: DeserializeOwned>(
        &self,
        slot: Slot,
        name: &TenantName,
    ) -> Result<T, Problem> {
        // Neither needs escapes.
        self.get(&format!("{DNS_COUNTS}?slot={slot}&name={name}"))
            .await
    }

    /// Connects to a tenant's AdGuard Home. Waits for a place if there are too many
    /// connections.
    ///
    /// # Errors
    /// The worker's problem; `DnsUnavailable`.
    pub async fn connect_dns(&self, slot: Slot, name: &TenantName) -> Result<DnsStream, Problem> {
        let connecting = async {
            let permit = self.tunnels.clone().acquire_owned().await;
            let permit = permit.map_err(|_| dns_unavailable())?;
            let answer = self.send(Method::CONNECT, format!("{slot}.{name}")).await?;
            if answer.status() != StatusCode::OK {
                return Err(problem_of(answer).await);
            }
            let upgraded = hyper::upgrade::on(answer).await.map_err(|e| damaged(&e))?;
            let stream: DnsStream = Box::new(Tunnel::new(TokioIo::new(upgraded), permit));
            Ok(stream)
        };
        let connected = tokio::time::timeout(CALL_TIMEOUT, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(dns_unavailable()));
        connected.map_err(|problem| match problem.code {
            ErrorCode::NodeUnreachable => dns_unavailable(),
            _ => problem,
        })
    }
}

/// Returns the URI of a path; HTTP/2 wants a whole one, whose host means nothing here.
pub(super) fn uri(path: &str) -> String {
    format!("https://worker{path}")
}

/// Reads the problem that a worker answers with.
pub(super) async fn problem_of(answer: Response<Incoming>) -> Problem {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_PROBLEM_BYTES)
        .collect()
        .await;
    let problem = match body {
        Ok(body) => serde_json::from_slice::<Problem>(&body.to_bytes()).map_err(io::Error::other),
        Err(e) => Err(io::Error::other(e)),
    };
    match problem {
        Ok(Problem { code, message }) => Problem {
            code,
            message: message.cut(MAX_TEXT_BYTES),
        },
        Err(e) => damaged(&format_args!("status {status}: {e}")),
    }
}
