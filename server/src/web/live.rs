//! Server-sent events: a stream for each topic, which sends the view of the topic's
//! page as it changes.
//!
//! A slow reader costs nothing: the next state is read once the last one is sent,
//! and the states in between are skipped.
//!
//! A client that is not signed in, or no longer, gets one event that says so, and
//! the stream ends: a browser's EventSource does not read the status and would
//! retry forever. A page whose device was deleted gets the same event. It makes the
//! page reload, which shows what is true now.

use super::{
    auth::{scope::Granted, session},
    errors, language,
    per_tenant_limit::Permit,
    state::WebState,
};
use axum::{
    Extension,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderName, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use control::{Control, LookingIn};
use domain::{ErrorCode, Failure, Message, Problem, TenantReadScope, Topic};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::to_string as to_json;
use std::{convert::Infallible, time::Duration};
use store::Sessions;
use texts::Texts;
use tokio::{sync::watch, time::Instant};
use tower_sessions::{Session, session::Id};

/// The number of open streams of one tenant: enough for the open pages of a
/// household.
pub const MAX_STREAMS: usize = 20;
/// How often a comment is sent on a silent stream, which a proxy would close.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often a stream checks that its session still exists.
const SESSION_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Returns the shortest time between two events of a topic, so that a burst of
/// changes becomes one event. It is shorter for the progress, on which a person
/// waits and which has few events.
const fn min_interval(topic: Topic) -> Duration {
    match topic {
        Topic::Progress => Duration::from_millis(15),
        Topic::Overview | Topic::Network | Topic::Device(_) => Duration::from_millis(150),
    }
}

/// Answers GET `/live/overview` with events `dashboard`, each a `DashboardView` as
/// JSON.
pub async fn overview(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    session: Session,
) -> Response {
    open(&state, &granted, &session, Topic::Overview)
}

/// Answers GET `/live/network` with events `network`, each a `NetworkView` as JSON.
pub async fn network(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    session: Session,
) -> Response {
    open(&state, &granted, &session, Topic::Network)
}

/// Answers GET `/live/devices/{id}` with events `device`, each a `DevicePageView` as
/// JSON; with 404 where the tenant has no such device.
pub async fn device(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    session: Session,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(scope) = granted.dashboard() else {
        return only_signed_out();
    };
    let Some(id) = id.ok().and_then(|id| id.parse().ok()) else {
        return errors::failure(&Failure::not_found());
    };
    match state.control.devices().get(scope, id).await {
        Ok(_) => open(&state, &granted, &session, Topic::Device(id)),
        Err(f) => errors::failure(&f),
    }
}

/// Answers GET `/live/progress` with events `progress`, each a `ProgressView` as
/// JSON.
pub async fn progress(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    session: Session,
) -> Response {
    open(&state, &granted, &session, Topic::Progress)
}

fn open(state: &WebState, granted: &Granted, session: &Session, topic: Topic) -> Response {
    let (Ok(scope), Some(session)) = (granted.dashboard(), session.id()) else {
        return only_signed_out();
    };
    let Some(permit) = state.streams.try_acquire(scope.tenant()) else {
        return (StatusCode::TOO_MANY_REQUESTS, "Too many open pages.").into_response();
    };
    let live = Live {
        changes: state.control.watch().changes(scope, topic),
        control: state.control.clone(),
        sessions: state.sessions.clone(),
        closing: state.closing.clone(),
        scope: scope.clone(),
        look: granted.look().cloned(),
        session,
        texts: language::texts(),
        topic,
        last: String::new(),
        sent_at: None,
        check_session_at: Instant::now() + SESSION_CHECK_INTERVAL,
        ended: false,
        _permit: permit,
    };
    let events = stream::unfold(live, Live::next).map(Ok::<_, Infallible>);
    // Otherwise nginx would buffer events.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    (unbuffered, events).into_response()
}

/// Returns a stream with only its last event.
fn only_signed_out() -> Response {
    let only = stream::once(std::future::ready(Ok::<_, Infallible>(signed_out())));
    Sse::new(only).into_response()
}

/// Returns the last event, which says why the stream ends. It has data because
/// browsers ignore an event without data.
fn signed_out() -> Event {
    Event::default().event("signed_out").data("over")
}

/// An open stream.
struct Live {
    changes: BoxStream<'static, ()>,
    control: Control,
    sessions: Sessions,
    closing: watch::Receiver<bool>,
    scope: TenantReadScope,
    /// The operator's look that it belongs to.
    look: Option<LookingIn>,
    session: Id,
    texts: &'static Texts,
    topic: Topic,
    last: String,
    sent_at: Option<Instant>,
    check_session_at: Instant,
    /// Whether the last event has been sent.
    ended: bool,
    _permit: Permit,
}

impl Live {
    /// Returns the next event, or `None` once the server shuts down and after the
    /// event that says that the session or the tenant no longer exists.
    async fn next(mut self) -> Option<(Event, Self)> {
        if self.ended {
            return None;
        }
        loop {
            tokio::select! {
                biased;
                _ = self.closing.wait_for(|closing| *closing) => return None,
                change = self.changes.next() => change?,
                () = tokio::time::sleep_until(self.check_session_at) => {}
            }
            if Instant::now() >= self.check_session_at {
                if !self.is_signed_in().await {
                    return Some(self.end());
                }
                self.check_session_at = Instant::now() + SESSION_CHECK_INTERVAL;
            }
            if let Some(at) = self.sent_at {
                tokio::time::sleep_until(at + min_interval(self.topic)).await;
            }
            let text = match self.read().await {
                Ok(text) => text,
                // The tenant was deleted with all its sessions, or the topic's device.
                Err(f) if f.code == ErrorCode::NotFound => return Some(self.end()),
                // Any other failure may be over at the next change.
                Err(_) => continue,
            };
            if text == self.last {
                continue;
            }
            let event = Event::default().event(self.topic.event()).data(&text);
            self.sent_at = Some(Instant::now());
            self.last = text;
            return Some((event, self));
        }
    }

    /// Returns whether the session still exists, and the look that it is of lasts.
    async fn is_signed_in(&mut self) -> bool {
        let is_alive = session::is_alive(&self.sessions, self.session).await;
        match &self.look {
            // While the database does not answer, it stays open.
            Some(look) if is_alive => {
                let lasts = self.control.auth().look_lasts(self.scope.name(), look);
                lasts.await.unwrap_or(true)
            }
            _ => is_alive,
        }
    }

    fn end(mut self) -> (Event, Self) {
        self.ended = true;
        (signed_out(), self)
    }

    // `&mut self`, because `self.changes` is not `Sync` and `&self` would not be `Send`.
    async fn read(&mut self) -> Result<String, Failure> {
        let (tenants, scope) = (self.control.tenants(), &self.scope);
        let render = |problem: Problem| self.texts.tenant_problem(&problem);
        let text = match self.topic {
            Topic::Overview => to_json(&tenants.dashboard(scope).await?.map_problems(render)),
            Topic::Network => to_json(&tenants.network(scope).await?.map_problems(render)),
            Topic::Device(id) => {
                let page = self.control.devices().page(scope, id).await?;
                to_json(&page.map_problems(render))
            }
            Topic::Progress => to_json(&tenants.progress(scope).await?.map_problems(render)),
        };
        text.map_err(|e| control::internal(&e, |incident| Message::StateNotSent { incident }))
    }
}
