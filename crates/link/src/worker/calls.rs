//! The connection on which the control plane asks: the worker dials it, then the roles
//! are swapped and the worker serves HTTP/2. It answers about this node and about
//! nothing else of the machine.

use super::{
    address::ControlPlane,
    control_planes::{Calling, ControlPlanes},
    credentials::Credentials,
    dial::dial,
    error::LinkError,
    event_log::EventLog,
    folder,
    readings::Readings,
    responses::{Body, body, empty, json, problem, tenant},
    retry::{self, RECONNECT},
    state::{self, Greeting},
    tunnel::Tunnels,
    wakes::Wakes,
};
use domain::{Clock, ErrorCode, Message, NodeId, Problem};
use futures_util::StreamExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::StreamBody;
use hyper::{
    body::{Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use protocol::{
    Location, NodeStatistics, Nodes, ReadingOrder,
    wire::{
        CALLS, CLOCK, DNS_COUNTS, FOLDER, HEARTBEAT, INSTANCE, NUDGE, PRESENCE, RAISED, READING,
        REQUESTS, RESOURCES, SILENCE, SINCE, STATE, STATISTICS,
    },
};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The most calls at a time on a connection.
const MAX_CALLS: u32 = 512;
/// How long the control plane may take to its first call.
const FIRST_CALL: Duration = Duration::from_secs(30);
/// How often the own address of one that was reached elsewhere is tried.
const DETOUR_INTERVAL: Duration = Duration::from_secs(15);

/// What serves the calls.
#[derive(Clone)]
pub(super) struct Calls {
    pub node: NodeId,
    pub credentials: Arc<Credentials>,
    pub control_planes: Arc<ControlPlanes>,
    pub wakes: Arc<Wakes>,
    pub nodes: Arc<dyn Nodes>,
    pub events: Arc<EventLog>,
    pub readings: Arc<Readings>,
    pub tunnels: Tunnels,
    pub clock: Arc<dyn Clock>,
    /// What this process calls itself.
    pub instance: String,
    pub version: String,
}

/// Why a connection ended.
enum Ended {
    /// The control plane closed it.
    Closed,
    /// It is to be made again at once: it had the former certificate, or the control plane's
    /// own address can be reached now.
    Again,
}

/// A connection, while it is served.
struct Served {
    calls: Calls,
    /// The address that was dialled.
    at: ControlPlane,
    /// Whether anything was called.
    is_used: AtomicBool,
    /// Noted once the control plane reads the state: then it uses this connection.
    calling: Mutex<Option<Calling>>,
}

impl Calls {
    /// Serves the calls of a control plane forever: connects again whenever the connection
    /// ends.
    pub async fn run(self, to: ControlPlane) {
        let mut was_lost = false;
        let mut at = to.clone();
        loop {
            let ended = tokio::select! {
                ended = self.connect_and_serve(&at, &mut was_lost) => ended,
                () = self.can_be_direct(&to), if at != to => Ok(Ended::Again),
            };
            if matches!(ended, Ok(Ended::Again)) {
                at = to.clone();
                continue;
            }
            if let Err(e) = &ended {
                match std::mem::replace(&mut was_lost, true) {
                    false => {
                        tracing::warn!(error = %e, cause = ?e, "no connection for the control plane's calls");
                    }
                    true => {
                        tracing::debug!(error = %e, cause = ?e, "still no connection for calls")
                    }
                }
            } else {
                tracing::debug!(control_plane = %at, "the connection for calls ended");
            }
            retry::pause(RECONNECT).await;
            at = match ended.is_err() && at == to {
                true => self.control_planes.detour().unwrap_or_else(|| to.clone()),
                false => to.clone(),
            };
        }
    }

    /// Waits until this address can be reached.
    async fn can_be_direct(&self, to: &ControlPlane) {
        loop {
            tokio::time::sleep(DETOUR_INTERVAL).await;
            // Nothing is asked on it.
            let tls = self.credentials.tls(REQUESTS);
            let Ok(tls) = tls else { continue };
            if dial(to, tls).await.is_ok() {
                return;
            }
        }
    }

    async fn connect_and_serve(
        &self,
        at: &ControlPlane,
        was_lost: &mut bool,
    ) -> Result<Ended, LinkError> {
        let mut renewals = self.credentials.renewals();
        let stream = dial(at, self.credentials.tls(CALLS)?).await?;
        let served = Arc::new(Served {
            calls: self.clone(),
            at: at.clone(),
            is_used: AtomicBool::new(false),
            calling: Mutex::default(),
        });
        let answering = served.clone();
        let service = service_fn(move |request| {
            let served = answering.clone();
            async move { Ok::<_, Infallible>(served.answer(request).await) }
        });
        let serving = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(HEARTBEAT)
            .keep_alive_timeout(SILENCE.saturating_sub(HEARTBEAT))
            .max_concurrent_streams(MAX_CALLS)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => ended,
            // The sender is in `credentials`.
            _ = renewals.changed() => return Ok(Ended::Again),
            () = tokio::time::sleep(FIRST_CALL) => {
                // The keep-alive begins with the handshake of HTTP/2 only.
                if !served.is_used.load(Ordering::Relaxed) {
                    return Err(LinkError::Silent {
                        address: at.to_string(),
                    });
                }
                if std::mem::take(was_lost) {
                    tracing::info!(control_plane = %at, "the control plane calls again");
                }
                tokio::select! {
                    ended = &mut serving => ended,
                    _ = renewals.changed() => return Ok(Ended::Again),
                }
            }
        };
        if ended.as_ref().is_err_and(hyper::Error::is_timeout) {
            self.events.was_silent(&at.to_string());
        }
        // A task that still answers has the rest of it.
        let calling = lock(&served.calling).take();
        if calling.is_some() && self.control_planes.asked() == *at {
            self.wakes.lose();
        }
        match ended {
            Ok(()) => Ok(Ended::Closed),
            Err(source) => Err(LinkError::Broken {
                address: at.to_string(),
                source,
            }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Served {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.is_used.store(true, Ordering::Relaxed);
        let calls = &self.calls;
        let (node, nodes) = (calls.node, &calls.nodes);
        if request.method() == Method::CONNECT {
            return self.tunnel(request).await;
        }
        if request.uri().path() == FOLDER {
            return folder::answer(node, nodes, request).await;
        }
        if request.method() != Method::GET {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        match request.uri().path() {
            STATE => {
                let greeting = Greeting {
                    version: calls.version.clone(),
                    instance: calls.instance.clone(),
                    is_raised_known: request.uri().query() == Some(RAISED),
                };
                *lock(&self.calling) = Some(calls.control_planes.note_call(&self.at));
                let events = calls.events.read(&self.at.to_string());
                let lines = state::lines(node, nodes.clone(), events, greeting);
                let frames = lines.map(|line| Ok(Frame::data(line)));
                Response::new(body(StreamBody::new(frames)))
            }
            NUDGE => {
                calls.wakes.nudge(&self.at);
                empty(StatusCode::NO_CONTENT)
            }
            PRESENCE => {
                let mut response = empty(StatusCode::NO_CONTENT);
                // It is hexadecimal.
                if let Ok(instance) = HeaderValue::from_str(&calls.instance) {
                    response.headers_mut().insert(INSTANCE, instance);
                }
                response
            }
            STATISTICS => {
                let earlier = earlier(request.uri());
                let read = nodes.statistics(node).await;
                let read = read.map(|read| calls.readings.changed(read, earlier.as_ref()));
                let mut response = statistics(read);
                let now = HeaderValue::from(calls.clock.now().0);
                response.headers_mut().insert(CLOCK, now);
                response
            }
            RESOURCES => json(nodes.resources(node).await),
            DNS_COUNTS => match tenant(request.uri()) {
                Some((slot, name)) => json(nodes.dns_counts(Location { node, slot }, &name).await),
                None => problem(&Problem {
                    code: ErrorCode::DnsUnavailable,
                    message: Message::DnsUnanswered,
                }),
            },
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    async fn tunnel(&self, request: Request<Incoming>) -> Response<Body> {
        match self.calls.tunnels.open(request).await {
            Ok(opened) => {
                tokio::spawn(opened.copy());
                empty(StatusCode::OK)
            }
            Err(e) => problem(&e),
        }
    }
}

/// Reads the reading that a query is about.
fn earlier(uri: &Uri) -> Option<ReadingOrder> {
    let text = uri.query()?.strip_prefix("since=")?;
    ReadingOrder::parse(&text.replacen('.', " ", 1))
}

/// Answers with the counters, and with when they were read.
fn statistics(read: Result<NodeStatistics, Problem>) -> Response<Body> {
    let (orders, peers) = match read {
        Ok(read) => ([(READING, read.taken), (SINCE, read.since)], Ok(read.peers)),
        Err(e) => ([(READING, None), (SINCE, None)], Err(e)),
    };
    let mut response = json(peers);
    for (header, order) in orders {
        if let Some(order) = order.and_then(|order| order.to_string().parse().ok()) {
            response.headers_mut().insert(header, order);
        }
    }
    response
}
