//! Sessions: what a cookie stands for. There is none before somebody signs
//! in, so visitors leave no rows.

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use domain::{ErrorCode, Failure, TenantId, TenantName};
use serde::{Deserialize, Serialize};
use store::{SessionKey, Sessions};
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore, cookie::SameSite, session,
};

/// How long a session lasts without a visit.
const IDLE: Duration = Duration::days(7);
/// The same for AdGuard Home, whose UI is not ours: a click on the dashboard
/// makes a new one.
const IDLE_DNS: Duration = Duration::hours(12);
/// How long a tenant's session lasts at most, visits or not: who finds an old
/// browser finds nobody signed in.
const LONGEST: Duration = Duration::days(30);
/// The same for an operator's, who may do more: a working day.
const LONGEST_OPERATOR: Duration = Duration::hours(12);
/// A visit is written down this often at most, so that reading pages does not
/// write to the database.
const NOTE_EVERY: Duration = Duration::hours(1);
/// The one value of a session.
const KEY: &str = "holder";
/// The cookie's name by plain HTTP.
const NAME: &str = "mn_session";
/// By TLS it also forbids other hosts to set it (RFC 6265bis, 4.1.3.2).
const NAME_TLS: &str = "__Host-mn_session";

/// Whom a session belongs to, and on which kind of host it is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holder {
    /// A tenant's dashboard.
    Dashboard {
        /// The tenant.
        id: TenantId,
        /// The tenant's name.
        name: TenantName,
    },
    /// A tenant's AdGuard Home.
    Dns {
        /// The tenant.
        id: TenantId,
        /// The tenant's name.
        name: TenantName,
        /// The dashboard's session it came from: it ends with that one.
        parent: SessionKey,
    },
    /// The operator's host.
    Operator {
        /// The operator's name.
        name: String,
        /// What fits until the operator's password is another one.
        proof: String,
    },
}

impl Holder {
    /// How long a session lasts without a visit, and at most.
    fn lasts(&self) -> (Duration, Duration) {
        match self {
            Self::Dashboard { .. } => (IDLE, LONGEST),
            Self::Dns { .. } => (IDLE_DNS, LONGEST),
            Self::Operator { .. } => (LONGEST_OPERATOR, LONGEST_OPERATOR),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    holder: Holder,
    /// When somebody signed in, in seconds since 1970.
    begun: i64,
    /// When it was last written.
    noted: i64,
}

/// The layer that reads and writes the cookie. Host-only on purpose: no
/// `Domain`, so a tenant's cookie is never sent to another's host.
pub fn layer(store: Sessions, tls: bool) -> SessionManagerLayer<Sessions> {
    SessionManagerLayer::new(store)
        .with_name(if tls { NAME_TLS } else { NAME })
        .with_same_site(SameSite::Lax)
        .with_http_only(true)
        .with_secure(tls)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(IDLE))
}

/// Lets a cookie go properly: tower-sessions removes it without `Secure`, and
/// browsers ignore every `__Host-` cookie that is not, also one that ends it.
pub async fn let_go(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let gone = format!("{NAME_TLS}=;");
    let headers = response.headers_mut();
    let all: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .cloned()
        .collect();
    let goes = |value: &HeaderValue| value.as_bytes().starts_with(gone.as_bytes());
    if all.iter().any(goes) {
        headers.remove(header::SET_COOKIE);
        for value in all.into_iter().filter(|v| !goes(v)) {
            headers.append(header::SET_COOKIE, value);
        }
        let text = format!("{gone} Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(header::SET_COOKIE, value);
        }
    }
    response
}

fn unavailable(e: session::Error) -> Failure {
    tracing::warn!(error = %e, "sessions cannot be read or written");
    no_database()
}

fn no_database() -> Failure {
    Failure::new(
        ErrorCode::DatabaseUnavailable,
        "The database does not answer. Try again in a moment.",
    )
}

/// Whom the session belongs to; a visit after a while prolongs it.
pub(super) async fn holder(session: &Session) -> Result<Option<Holder>, Failure> {
    // Data of an older form is nobody's.
    let kept = match session.get::<Kept>(KEY).await {
        Ok(kept) => kept,
        Err(session::Error::SerdeJson(_)) => None,
        Err(e) => return Err(unavailable(e)),
    };
    let Some(kept) = kept else { return Ok(None) };
    if OffsetDateTime::now_utc().unix_timestamp() - kept.noted > NOTE_EVERY.whole_seconds() {
        keep(session, kept.holder.clone(), kept.begun).await?;
    }
    Ok(Some(kept.holder))
}

/// Signs somebody in: a new session with a new id, whatever the browser came
/// with.
///
/// # Errors
/// Where the database does not answer.
pub async fn begin(session: &Session, holder: Holder) -> Result<(), Failure> {
    if session.id().is_some() {
        // Not flush(): after it, the next save makes a session with the id the
        // browser came with, which somebody else may have put there.
        session.clear().await;
        session.cycle_id().await.map_err(unavailable)?;
    }
    let now = OffsetDateTime::now_utc().unix_timestamp();
    keep(session, holder, now).await
}

async fn keep(session: &Session, holder: Holder, begun: i64) -> Result<(), Failure> {
    let noted = OffsetDateTime::now_utc().unix_timestamp();
    let (idle, longest) = holder.lasts();
    let left = longest - Duration::seconds(noted - begun);
    session.set_expiry(Some(Expiry::OnInactivity(idle.min(left))));
    let kept = Kept {
        holder,
        begun,
        noted,
    };
    session.insert(KEY, kept).await.map_err(unavailable)
}

/// Signs out: the session is gone from the database, not only the cookie.
///
/// # Errors
/// Where the database does not answer.
pub async fn end(session: &Session) -> Result<(), Failure> {
    if session.id().is_none() {
        return Ok(());
    }
    session.flush().await.map_err(unavailable)
}

/// Whether the session that another came from is still there.
pub(super) async fn is_kept(store: &Sessions, key: &SessionKey) -> Result<bool, Failure> {
    store.is_kept(key).await.map_err(|e| {
        tracing::warn!(error = ?e, "sessions cannot be read");
        no_database()
    })
}

/// Whether a session is still there, for streams that outlive their request.
pub async fn is_alive(store: &Sessions, id: session::Id) -> bool {
    // A database that does not answer signs nobody out.
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
    async fn a_session_ends_however_often_somebody_visits() {
        let sessions = Sessions::new(store::Store::memory().await.unwrap());
        let session = Session::new(None, std::sync::Arc::new(sessions), None);
        let ago = |d: Duration| OffsetDateTime::now_utc().unix_timestamp() - d.whole_seconds();
        let left = |s: &Session| s.expiry_age().whole_minutes();
        keep(&session, operator(), ago(Duration::hours(11)))
            .await
            .unwrap();
        assert!((58..=60).contains(&left(&session)), "{}", left(&session));
        let holder = Holder::Dashboard {
            id: TenantId(1),
            name: TenantName::parse("abcd").unwrap(),
        };
        keep(&session, holder.clone(), ago(Duration::days(1)))
            .await
            .unwrap();
        assert!(left(&session) > 7 * 1440 - 2, "a week without a visit");
        keep(&session, holder, ago(Duration::days(29)))
            .await
            .unwrap();
        assert!(left(&session) <= 1440, "and 30 days in all");
    }

    #[tokio::test]
    async fn by_tls_a_browser_really_drops_the_cookie_when_somebody_signs_out() {
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
            .layer(from_fn(let_go));
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
        let gone = ask("/out", cookie).await;
        assert_eq!(
            gone,
            ["__Host-mn_session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"]
        );
    }
}
