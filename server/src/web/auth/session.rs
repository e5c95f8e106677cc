//! Sessions behind the cookie. A session begins with a sign-in, so visitors leave
//! no rows in the database.

use super::cookie;
use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use control::Audience;
use domain::{ErrorCode, Failure, Message};
use store::{SessionDetails, Sessions};
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore, cookie::SameSite, session,
};

/// A visit is recorded at most this often, so that reading pages does not write to
/// the database.
const RECORD_INTERVAL: Duration = Duration::hours(1);
/// The key of the time of the last write, in seconds since 1970. The other value of a session is
/// its details.
const NOTED: &str = "noted";
/// The cookie's name without TLS.
const NAME: &str = "mn_session";
/// The prefix also forbids other hosts to set the cookie (RFC 6265bis, 4.1.3.2).
const NAME_TLS: &str = "__Host-mn_session";

/// Returns a time span as the session store counts it.
fn seconds(span: std::time::Duration) -> Duration {
    Duration::seconds(i64::try_from(span.as_secs()).unwrap_or(i64::MAX))
}

/// Returns the layer that reads and writes the cookie. It is host-only on purpose:
/// without `Domain` a tenant's cookie is never sent to another tenant's host.
pub fn layer(store: Sessions, tls: bool) -> SessionManagerLayer<Sessions> {
    SessionManagerLayer::new(store)
        .with_name(if tls { NAME_TLS } else { NAME })
        .with_same_site(SameSite::Lax)
        .with_http_only(true)
        .with_secure(tls)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(seconds(
            Audience::Dashboard.idle_timeout(false),
        )))
}

/// Corrects the removal of the cookie: tower-sessions removes it without `Secure`,
/// and browsers ignore a `__Host-` cookie without `Secure`, even one that removes
/// it.
pub async fn fix_cookie_removal(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let removal = format!("{NAME_TLS}=;");
    let headers = response.headers_mut();
    let all: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .cloned()
        .collect();
    let is_removal = |value: &HeaderValue| value.as_bytes().starts_with(removal.as_bytes());
    if all.iter().any(is_removal) {
        headers.remove(header::SET_COOKIE);
        for value in all.into_iter().filter(|v| !is_removal(v)) {
            headers.append(header::SET_COOKIE, value);
        }
        cookie::set(&mut response, NAME_TLS, "", true, Duration::ZERO);
    }
    response
}

fn unavailable(e: session::Error) -> Failure {
    tracing::warn!(error = %e, "sessions cannot be read or written");
    Failure::new(ErrorCode::DatabaseUnavailable, Message::DatabaseAway)
}

/// Returns what the session stores. A visit after an hour extends the session.
pub(super) async fn details(session: &Session) -> Result<Option<SessionDetails>, Failure> {
    // Data in an older format counts as no session.
    let details = match session.get::<SessionDetails>(SessionDetails::KEY).await {
        Ok(details) => details,
        Err(session::Error::SerdeJson(_)) => None,
        Err(e) => return Err(unavailable(e)),
    };
    let Some(details) = details else {
        return Ok(None);
    };
    let noted = session.get::<i64>(NOTED).await.map_err(unavailable)?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    if now - noted.unwrap_or(0) > RECORD_INTERVAL.whole_seconds() {
        save(session, &details).await?;
    }
    Ok(Some(details))
}

/// Signs in: creates a session with a new id, even if the browser sent one.
///
/// # Errors
/// The database does not answer.
pub async fn begin(session: &Session, details: SessionDetails) -> Result<(), Failure> {
    if session.id().is_some() {
        // Not flush(): after it, the next save would create a session with the id
        // that the browser sent, which an attacker may have planted.
        session.clear().await;
        session.cycle_id().await.map_err(unavailable)?;
    }
    save(session, &details).await
}

async fn save(session: &Session, details: &SessionDetails) -> Result<(), Failure> {
    let noted = OffsetDateTime::now_utc().unix_timestamp();
    let audience = Audience::parse(&details.audience).unwrap_or(Audience::Dns);
    let idle = seconds(audience.idle_timeout(details.stays));
    let age = Duration::seconds(noted - details.begun.secs());
    let left = seconds(audience.max_age(details.stays)) - age;
    session.set_expiry(Some(Expiry::OnInactivity(idle.min(left))));
    session.insert(NOTED, noted).await.map_err(unavailable)?;
    let stored = session.insert(SessionDetails::KEY, details).await;
    stored.map_err(unavailable)
}

/// Signs out: removes the session from the database, not only the cookie.
///
/// # Errors
/// The database does not answer.
pub async fn end(session: &Session) -> Result<(), Failure> {
    if session.id().is_none() {
        return Ok(());
    }
    session.flush().await.map_err(unavailable)
}

/// Returns whether a session still exists, for streams that outlive their request.
pub async fn is_alive(store: &Sessions, id: session::Id) -> bool {
    // While the database does not answer, a session stays signed in.
    !matches!(store.load(&id).await, Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware::from_fn, routing::get};
    use domain::{TenantId, Timestamp};
    use store::TicketHolder;
    use tower::ServiceExt;

    fn details(audience: Audience, stays: bool, age: Duration) -> SessionDetails {
        let begun = OffsetDateTime::now_utc().unix_timestamp() - age.whole_seconds();
        SessionDetails {
            holder: TicketHolder::Tenant(TenantId(1)),
            name: "abcd".to_owned(),
            audience: audience.as_str().to_owned(),
            parent: None,
            proof: "p".to_owned(),
            stays,
            client: Default::default(),
            begun: Timestamp::from_secs(begun),
        }
    }

    #[tokio::test]
    async fn a_session_ends_even_with_visits() {
        let sessions = Sessions::new(store::Store::memory().await.unwrap());
        let session = Session::new(None, std::sync::Arc::new(sessions), None);
        let left = async |audience, stays, age| {
            save(&session, &details(audience, stays, age))
                .await
                .unwrap();
            session.expiry_age().whole_minutes()
        };
        let of_operator = left(Audience::Operator, false, Duration::hours(11)).await;
        assert!((58..=60).contains(&of_operator), "{of_operator}");
        let new = left(Audience::Dashboard, true, Duration::days(1)).await;
        assert!(new > 29 * 1440 - 2, "one that stays: {new}");
        let old = left(Audience::Dashboard, true, Duration::days(29)).await;
        assert!(old <= 1440, "30 days in all: {old}");
        let day = left(Audience::Dashboard, false, Duration::hours(23)).await;
        assert!((58..=60).contains(&day), "else a day: {day}");
    }

    #[tokio::test]
    async fn signing_out_over_tls_removes_the_cookie() {
        async fn sign_in(session: Session) {
            session.insert(NOTED, 1).await.unwrap();
        }
        async fn sign_out(session: Session) {
            end(&session).await.unwrap();
        }
        let sessions = Sessions::new(store::Store::memory().await.unwrap());
        let app = Router::new()
            .route("/in", get(sign_in))
            .route("/out", get(sign_out))
            .layer(layer(sessions, true))
            .layer(from_fn(fix_cookie_removal));
        let ask = async |path: &str, cookie: &str| {
            let request = Request::builder().uri(path).header("cookie", cookie);
            let request = request.body(Body::empty()).unwrap();
            let answer = app.clone().oneshot(request).await.unwrap();
            let all = answer.headers().get_all(header::SET_COOKIE).iter();
            all.map(|v| v.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let set = ask("/in", "").await;
        assert!(
            set[0].starts_with(NAME_TLS) && set[0].contains("Secure"),
            "{set:?}"
        );
        let cookie = set[0].split(';').next().unwrap();
        let removed = ask("/out", cookie).await;
        assert_eq!(
            removed,
            ["__Host-mn_session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"]
        );
    }
}
