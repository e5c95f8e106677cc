//! Server-sent events: a tenant's dashboard and progress as they change.
//!
//! A slow reader costs nothing: the next state is read when the last one is
//! sent, and states between are left out.
//!
//! Whoever is not (or no longer) signed in gets one event that says so, and the
//! end: a browser's EventSource reads no status and would try for ever.

use crate::web::{WebState, places::Place, scope::Granted, session};
use axum::{
    Extension,
    extract::State,
    http::{HeaderName, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use control::Control;
use domain::{ErrorCode, Failure, TenantScope};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::{convert::Infallible, time::Duration};
use store::Sessions;
use tokio::{sync::watch, time::Instant};
use tower_sessions::{Session, session::Id};

/// Streams of one tenant at a time: a household's open pages, not a leak.
pub const STREAMS: usize = 20;
/// A comment at least this often: proxies close what is silent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often a stream looks whether its session is still there.
const LOOK: Duration = Duration::from_secs(5);

/// What a stream tells.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Dashboard,
    Progress,
}

impl Kind {
    /// Shortest time between two events, so that a burst of changes is one.
    /// For a part that gets ready somebody waits, and there are few of them.
    fn pause(self) -> Duration {
        match self {
            Self::Dashboard => Duration::from_millis(150),
            Self::Progress => Duration::from_millis(15),
        }
    }
}

/// GET `/live`: event `dashboard`, a `DashboardView` as JSON.
pub async fn dashboard(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    session: Session,
) -> Response {
    open(&state, &granted, &session, Kind::Dashboard)
}

/// GET `/progress/live`: event `progress`, a `ProgressView` as JSON.
pub async fn progress(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    session: Session,
) -> Response {
    open(&state, &granted, &session, Kind::Progress)
}

fn open(state: &WebState, granted: &Granted, session: &Session, kind: Kind) -> Response {
    let (Ok(scope), Some(session)) = (granted.dashboard(), session.id()) else {
        let only = stream::once(std::future::ready(Ok::<_, Infallible>(signed_out())));
        return Sse::new(only).into_response();
    };
    let Some(place) = state.streams.take(scope.tenant()) else {
        return (StatusCode::TOO_MANY_REQUESTS, "Too many open pages.").into_response();
    };
    let live = Live {
        changes: state.control.changes(scope),
        control: state.control.clone(),
        sessions: state.sessions.clone(),
        closing: state.closing.clone(),
        scope: scope.clone(),
        session,
        kind,
        last: String::new(),
        sent_at: None,
        look_at: Instant::now() + LOOK,
        over: false,
        _place: place,
    };
    let events = stream::unfold(live, Live::next).map(Ok::<_, Infallible>);
    // nginx would gather events otherwise.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    (unbuffered, events).into_response()
}

/// Says that nothing more will come, and why. The data are a word because a
/// browser drops events without any.
fn signed_out() -> Event {
    Event::default().event("signed_out").data("over")
}

/// An open stream.
struct Live {
    changes: BoxStream<'static, ()>,
    control: Control,
    sessions: Sessions,
    closing: watch::Receiver<bool>,
    scope: TenantScope,
    session: Id,
    kind: Kind,
    last: String,
    sent_at: Option<Instant>,
    look_at: Instant,
    /// Whether the last event has been told.
    over: bool,
    _place: Place,
}

impl Live {
    /// The next event; `None` once the server ends, and after the one that
    /// tells that somebody signed out or the tenant is gone.
    async fn next(mut self) -> Option<(Event, Self)> {
        if self.over {
            return None;
        }
        loop {
            tokio::select! {
                biased;
                _ = self.closing.wait_for(|closing| *closing) => return None,
                change = self.changes.next() => change?,
                () = tokio::time::sleep_until(self.look_at) => {}
            }
            if Instant::now() >= self.look_at {
                if !session::is_alive(&self.sessions, self.session).await {
                    return Some(self.end());
                }
                self.look_at = Instant::now() + LOOK;
            }
            if let Some(at) = self.sent_at {
                tokio::time::sleep_until(at + self.kind.pause()).await;
            }
            let text = match self.read().await {
                Ok(text) => text,
                // Gone, and everybody's session with it.
                Err(f) if f.code == ErrorCode::NotFound => return Some(self.end()),
                // What else fails may work at the next change.
                Err(_) => continue,
            };
            if text == self.last {
                continue;
            }
            let name = match self.kind {
                Kind::Dashboard => "dashboard",
                Kind::Progress => "progress",
            };
            let event = Event::default().event(name).data(&text);
            self.sent_at = Some(Instant::now());
            self.last = text;
            return Some((event, self));
        }
    }

    fn end(mut self) -> (Event, Self) {
        self.over = true;
        (signed_out(), self)
    }

    // `&mut`, because a stream that is not `Sync` may not be shared across threads.
    async fn read(&mut self) -> Result<String, Failure> {
        let text = match self.kind {
            Kind::Dashboard => serde_json::to_string(&self.control.dashboard(&self.scope).await?),
            Kind::Progress => serde_json::to_string(&self.control.progress(&self.scope).await?),
        };
        text.map_err(|e| control::internal(&e, "The state cannot be told."))
    }
}
