//! Server-sent events: what a client shows, sent again whenever it changes. A slow reader costs
//! nothing: the states in between are skipped.

use super::{
    account::{Network, account},
    devices::all_devices,
    problems::Problems,
};
use crate::{
    http::{
        client::Client,
        permission::{Permission, token},
        problem::Refusal,
        query::Params,
        streams::OpenStream,
    },
    state::ApiState,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use domain::{Access, ErrorCode, Failure, Secret, TenantScope};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, time::Duration};
use tokio::{sync::watch, time::Instant};
use utoipa::{IntoParams, ToSchema};

/// How often a comment is sent on a silent stream, which a proxy would close.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often the token is read again.
const TOKEN_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The shortest time between two events: a burst of changes is one.
const MIN_INTERVAL: Duration = Duration::from_millis(150);

/// What a stream is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The account, as `GET /v1/account` has it.
    Account,
    /// All devices, each as `GET /v1/devices/{id}` has it.
    Devices,
    /// The state of the network, as in the account. It has no statistics.
    Network,
}

impl Topic {
    const fn event(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Devices => "devices",
            Self::Network => "network",
        }
    }

    const fn of_core(self) -> domain::Topic {
        match self {
            Self::Account => domain::Topic::Overview,
            Self::Devices => domain::Topic::Network,
            Self::Network => domain::Topic::Progress,
        }
    }
}

/// An event of a stream.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes events; `Live` makes them")]
pub struct LiveEvent {
    /// The topic, or `ended`.
    #[schema(example = "network")]
    event: String,
    /// The topic's newest state as JSON, or the code why the stream has ended.
    data: String,
}

/// Which stream.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TopicParams {
    #[param(inline)]
    topic: Topic,
}

/// Live events
///
/// A stream of server-sent events. Each is named after the topic and has its newest state as
/// JSON; the first comes at once. The stream ends with the event `ended`, whose data is a code,
/// when the token is no longer valid: sign in again, or take the next access token.
#[utoipa::path(
    get,
    path = "/v1/live",
    tag = "events",
    security(("bearer" = [])),
    params(TopicParams),
    responses((status = 200, body = LiveEvent, content_type = "text/event-stream", description = "The events. The schema is that of one."), Problems)
)]
pub async fn live(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Params(params): Params<TopicParams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let scope = permission.tenant(Access::Read)?.clone();
    let topic = params.topic;
    let open = state.streams.open(permission.subject())?;
    let live = Live {
        changes: state.control.watch().changes(&scope, topic.of_core()),
        closing: state.closing.clone(),
        // Whose permission follows from none is the command line.
        token: token(&headers).ok(),
        state,
        client,
        scope,
        topic,
        last: String::new(),
        sent_at: None,
        check_at: Instant::now() + TOKEN_CHECK_INTERVAL,
        has_ended: false,
        _open: open,
    };
    let events = stream::unfold(live, Live::next).map(Ok::<_, Infallible>);
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Otherwise nginx would buffer events.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, events).into_response())
}

struct Live {
    state: ApiState,
    changes: BoxStream<'static, ()>,
    closing: watch::Receiver<bool>,
    token: Option<Secret>,
    client: Client,
    scope: TenantScope,
    topic: Topic,
    /// The last state that was sent.
    last: String,
    sent_at: Option<Instant>,
    check_at: Instant,
    has_ended: bool,
    _open: OpenStream,
}

impl Live {
    /// Waits for the next event. Returns `None` once the stream is over.
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            if self.has_ended || *self.closing.borrow() {
                return None;
            }
            tokio::select! {
                changed = self.changes.next() => {
                    if changed.is_none() {
                        return Some(self.end(ErrorCode::NotFound));
                    }
                    if let Some(at) = self.sent_at {
                        tokio::time::sleep_until(at + MIN_INTERVAL).await;
                    }
                    let view = view(&self.state, &self.scope, self.client, self.topic).await;
                    match view {
                        Ok(view) if view != self.last => {
                            self.sent_at = Some(Instant::now());
                            let event = Event::default().event(self.topic.event()).data(&view);
                            self.last = view;
                            return Some((event, self));
                        }
                        Err(f) if f.code == ErrorCode::NotFound => {
                            return Some(self.end(f.code));
                        }
                        // Unchanged; or the database is away, and the next change is sent.
                        Ok(_) | Err(_) => {}
                    }
                }
                () = tokio::time::sleep_until(self.check_at) => {
                    self.check_at = Instant::now() + TOKEN_CHECK_INTERVAL;
                    if let Some(token) = &self.token
                        && let Err(f) = self.state.control.auth().bearer(token).await
                        && f.code != ErrorCode::DatabaseUnavailable
                    {
                        return Some(self.end(f.code));
                    }
                }
                closing = self.closing.changed() => {
                    if closing.is_err() {
                        return None;
                    }
                }
            }
        }
    }

    /// Ends the stream with the event that says why.
    fn end(mut self, code: ErrorCode) -> (Event, Self) {
        self.has_ended = true;
        (Event::default().event("ended").data(code.as_str()), self)
    }
}

/// Returns a topic's state as JSON.
async fn view(
    state: &ApiState,
    scope: &TenantScope,
    client: Client,
    topic: Topic,
) -> Result<String, Failure> {
    let json = match topic {
        Topic::Account => serde_json::to_string(&account(state, scope, client).await?),
        Topic::Devices => serde_json::to_string(&all_devices(state, scope).await?),
        Topic::Network => {
            let progress = state.control.tenants().progress(scope).await?;
            let status = client.texts.tenant_status(progress.status);
            serde_json::to_string(&Network::from(status))
        }
    };
    let message = |incident| domain::Message::StateNotSent { incident };
    json.map_err(|e| control::internal(&e, message))
}
