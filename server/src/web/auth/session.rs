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
use domain::{ErrorCode, Failure, Message, TenantId, TenantName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{SessionKey, Sessions};
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore, cookie::SameSite, session,
};

/// A visit is recorded at most this often, so that reading pages does not write to
/// the database.
const RECORD_INTERVAL: Duration = Duration::hours(1);
/// The key of the only value in a session.
const KEY: &str = "holder";
/// The cookie's name without TLS.
const NAME: &str = "mn_session";
/// The prefix also forbids other hosts to set the cookie (RFC 6265bis, 4.1.3.2).
const NAME_TLS: &str = "__Host-mn_session";

/// The owner of a session, and the kind of host on which it is valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holder {
    /// A tenant's dashboard.
    Dashboard { id: TenantId, name: TenantName },
    /// A tenant's AdGuard Home.
    Dns {
        id: TenantId,
        name: TenantName,
        /// The dashboard's session from which it was created and with which it ends.
        parent: SessionKey,
    },
    /// The operator's host.
    Operator {
        name: String,
        /// Valid until the operator's password changes.
        proof: String,
    },
}

impl Holder {
    fn audience(&self) -> Audience {
        match self {
            Self::Dashboard { .. } => Audience::Dashboard,
            Self::Dns { .. } => Audience::Dns,
            Self::Operator { .. } => Audience::Operator,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SessionData {
    holder: Holder,
    /// The time of the sign-in, in seconds since 1970.
    begun: i64,
    /// The time of the last write, in seconds since 1970.
    noted: i64,
}

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
            Audience::Dashboard.idle_timeout(),
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

/// Returns the holder of the session and the time of the sign-in. A visit after an
/// hour extends the session.
pub(super) async fn holder(session: &Session) -> Result<Option<(Holder, Timestamp)>, Failure> {
    // Data in an older format counts as no session.
    let data = match session.get::<SessionData>(KEY).await {
        Ok(data) => data,
        Err(session::Error::SerdeJson(_)) => None,
        Err(e) => return Err(unavailable(e)),
    };
    let Some(data) = data else { return Ok(None) };
    if OffsetDateTime::now_utc().unix_timestamp() - data.noted > RECORD_INTERVAL.whole_seconds() {
        save(session, data.holder.clone(), data.begun).await?;
    }
    Ok(Some((data.holder, Timestamp::from_secs(data.begun))))
}

/// Signs in: creates a session with a new id, even if the browser sent one.
///
/// # Errors
/// The database does not answer.
pub async fn begin(session: &Session, holder: Holder) -> Result<(), Failure> {
    if session.id().is_some() {
        // Not flush(): after it, the next save would create a session with the id
        // that the browser sent, which an attacker may have planted.
        session.clear().await;
        session.cycle_id().await.map_err(unavailable)?;
    }
    let now = OffsetDateTime::now_utc().unix_timestamp();
    save(session, holder, now).await
}

async fn save(session: &Session, holder: Holder, begun: i64) -> Result<(), Failure> {
    let noted = OffsetDateTime::now_utc().unix_timestamp();
    let audience = holder.audience();
    let idle = seconds(audience.idle_timeout());
    let left = seconds(audience.max_age()) - Duration::seconds(noted - begun);
    session.set_expiry(Some(Expiry::OnInactivity(idle.min(left))));
    let data = SessionData {
        holder,
        begun,
        noted,
    };
    session.insert(KEY, data).await.map_err(unavailable)
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
    use tower::ServiceExt;

    fn operator() -> Holder {
        Holder::Operator {
            name: "ada".to_owned(),
            proof: "p".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_session_ends_even_with_visits() {
        let sessions = Sessions::new(store::Store::memory().await.unwrap());
        let session = Session::new(None, std::sync::Arc::new(sessions), None);
        let ago = |d: Duration| OffsetDateTime::now_utc().unix_timestamp() - d.whole_seconds();
        let left = |s: &Session| s.expiry_age().whole_minutes();
        save(&session, operator(), ago(Duration::hours(11)))
            .await
            .unwrap();
        assert!((58..=60).contains(&left(&session)), "{}", left(&session));
        let holder = Holder::Dashboard {
            id: TenantId(1),
            name: TenantName::parse("abcd").unwrap(),
        };
        save(&session, holder.clone(), ago(Duration::days(1)))
            .await
            .unwrap();
        assert!(left(&session) > 7 * 1440 - 2, "a week without a visit");
        save(&session, holder, ago(Duration::days(29)))
            .await
            .unwrap();
        assert!(left(&session) <= 1440, "and 30 days in all");
    }

    #[tokio::test]
    async fn signing_out_over_tls_removes_the_cookie() {
        async fn sign_in(session: Session) {
            begin(&session, operator()).await.unwrap();
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
