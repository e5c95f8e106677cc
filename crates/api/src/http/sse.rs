//! Streams of server-sent events (WHATWG HTML, 9.2).

use super::{
    permission::{tenant, token},
    streams::{OpenStream, StreamKind},
};
use crate::state::ApiState;
use axum::{
    http::{HeaderMap, HeaderName},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use control::ApiPermission;
use domain::{ErrorCode, Failure, Secret};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use std::{convert::Infallible, time::Duration};
use tokio::time::Instant;

/// How often a comment is sent on a silent stream, which a proxy would close.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often the token is read again.
const TOKEN_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The shortest time between two events: a burst of changes is one.
pub const MIN_INTERVAL: Duration = Duration::from_millis(150);

/// Answers with events.
pub fn answer(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let events = Sse::new(events.map(Ok::<_, Infallible>));
    let events = events.keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Otherwise nginx would buffer events.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    (unbuffered, events).into_response()
}

/// Returns the last event of a stream, which says why it has ended.
pub fn ended(code: ErrorCode) -> Event {
    Event::default().event("ended").data(code.as_str())
}

/// Writes what an event says.
///
/// # Errors
/// `Internal`.
pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    let message = |incident| domain::Message::StateNotSent { incident };
    serde_json::to_string(value).map_err(|e| control::internal(&e, message))
}

/// What an open stream follows from: it ends with its token.
pub struct StreamToken {
    /// Whose permission follows from none is the command line.
    token: Option<Secret>,
    /// The name of the tenant for whom the token's holder acts.
    acting_for: Option<String>,
    check_at: Instant,
    _open: OpenStream,
}

impl StreamToken {
    /// Counts a further stream of the token's holder.
    ///
    /// # Errors
    /// `Busy` where there are as many as there may be, `NotFound` for what is no tenant's name.
    pub fn open(
        state: &ApiState,
        permission: &ApiPermission,
        headers: &HeaderMap,
        kind: StreamKind,
    ) -> Result<Self, Failure> {
        Ok(Self {
            _open: state.streams.open(permission.subject(), kind)?,
            token: token(headers).ok(),
            acting_for: tenant(headers)?.map(str::to_owned),
            check_at: Instant::now() + TOKEN_CHECK_INTERVAL,
        })
    }

    /// Waits until the token is to be read again.
    pub async fn is_due(&self) {
        tokio::time::sleep_until(self.check_at).await;
    }

    /// Reads the token again, and checks that its permission, that of an operator who acts for a
    /// tenant too, is still `enough`.
    ///
    /// # Errors
    /// Why the stream is over. A database that is away ends none.
    pub async fn check(
        &mut self,
        state: &ApiState,
        enough: impl Fn(&ApiPermission) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.check_at = Instant::now() + TOKEN_CHECK_INTERVAL;
        let Some(token) = &self.token else {
            return Ok(());
        };
        let auth = state.control.auth();
        let permission = async {
            let permission = auth.bearer(token).await?;
            match &self.acting_for {
                Some(tenant) => auth.acting_for(permission, tenant).await,
                None => Ok(permission),
            }
        };
        match permission.await {
            Ok(permission) => enough(&permission),
            Err(f) if f.code == ErrorCode::DatabaseUnavailable => Ok(()),
            Err(f) => Err(f),
        }
    }
}
