//! Server-sent events: what a client shows, sent again whenever it changes. A slow reader costs
//! nothing: the states in between are skipped.

use super::{
    account::{Network, account},
    devices::all_devices,
    log_stream::{self, Log},
    problems::Problems,
};
use crate::{
    http::{
        client::Client,
        permission::{self, Permission},
        problem::Refusal,
        query::Params,
        sse::{self, MIN_INTERVAL, StreamToken},
        streams::StreamKind,
    },
    state::ApiState,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{Response, sse::Event},
};
use control::{ApiPermission, AuditQuery};
use domain::{Access, ErrorCode, Failure, TenantScope};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};
use utoipa::{IntoParams, ToSchema};

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
    /// What happens to the network, each event as `GET /v1/events` has it.
    Events,
    /// Your audit log, each entry as `GET /v1/audit` has it.
    Audit,
}

/// A topic of which the newest state is sent, and not each change.
#[derive(Clone, Copy)]
enum StateTopic {
    Account,
    Devices,
    Network,
}

impl StateTopic {
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
    /// The topic, or `begin`, with which a log begins, or `ended`.
    #[schema(example = "network")]
    event: String,
    /// The topic's newest state or the entry of the log as JSON, or the code why the stream has
    /// ended.
    data: String,
}

/// Which stream.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TopicParams {
    #[param(inline)]
    topic: Topic,
    /// Of a log: how many of the newest entries come first.
    #[param(minimum = 0, maximum = 1000, default = 0)]
    recent: Option<u16>,
    /// Of the audit log: your name, or `operator:` and an operator's.
    #[serde(default)]
    actor: String,
    /// Of the audit log: an action, e.g. `device.add`.
    #[serde(default)]
    action: String,
}

/// Live events
///
/// A stream of server-sent events. Each is named after the topic and has its newest state as
/// JSON; the first comes at once. Of a log (`events`, `audit`) `begin` comes at once, then the
/// newest entries, and then each new one when it is made; a client that sends the id of the last
/// event that it has as `Last-Event-ID` gets what came behind it. An entry of the seconds before
/// may come again, with the same id, where several control planes write. The stream ends with
/// the event `ended`, whose data is a code, when the token is no longer valid: sign in again, or
/// take the next access token.
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
    let recent = log_stream::recent(params.recent)?;
    let topic = match params.topic {
        Topic::Account => StateTopic::Account,
        Topic::Devices => StateTopic::Devices,
        Topic::Network => StateTopic::Network,
        Topic::Events => {
            let log = Log::OwnEvents { scope };
            let followed = log_stream::follow(state, client, &permission, &headers, log, recent);
            return Ok(followed.await?);
        }
        Topic::Audit => {
            let query = AuditQuery {
                actor: params.actor,
                action: params.action,
                ..AuditQuery::default()
            };
            let log = Log::OwnAudit { scope, query };
            let followed = log_stream::follow(state, client, &permission, &headers, log, recent);
            return Ok(followed.await?);
        }
    };
    let live = Live {
        token: StreamToken::open(&state, &permission, &headers, StreamKind::State)?,
        changes: state.control.watch().changes(&scope, topic.of_core()),
        closing: state.closing.clone(),
        state,
        client,
        scope,
        topic,
        last: String::new(),
        sent_at: None,
        has_ended: false,
    };
    Ok(sse::answer(stream::unfold(live, Live::next)))
}

struct Live {
    state: ApiState,
    token: StreamToken,
    changes: BoxStream<'static, ()>,
    closing: watch::Receiver<bool>,
    client: Client,
    scope: TenantScope,
    topic: StateTopic,
    /// The last state that was sent.
    last: String,
    sent_at: Option<Instant>,
    has_ended: bool,
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
                () = self.token.is_due() => {
                    let enough = |p: &ApiPermission| permission::reads(p, &self.scope);
                    if let Err(f) = self.token.check(&self.state, enough).await {
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
        (sse::ended(code), self)
    }
}

/// Returns a topic's state as JSON.
async fn view(
    state: &ApiState,
    scope: &TenantScope,
    client: Client,
    topic: StateTopic,
) -> Result<String, Failure> {
    match topic {
        StateTopic::Account => sse::json(&account(state, scope, client).await?),
        StateTopic::Devices => sse::json(&all_devices(state, scope).await?),
        StateTopic::Network => {
            let progress = state.control.tenants().progress(scope).await?;
            let status = client.texts.tenant_status(progress.status);
            sse::json(&Network::from(status))
        }
    }
}
