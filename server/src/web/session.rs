//! Sessions: what a cookie stands for. There is none before somebody signs
//! in, so visitors leave no rows.

use domain::{ErrorCode, Failure, TenantId, TenantName};
use serde::{Deserialize, Serialize};
use store::Sessions;
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore, cookie::SameSite, session,
};

/// How long a session lasts without a visit.
const IDLE: Duration = Duration::days(7);
/// The same for AdGuard Home, whose UI is not ours: a click on the dashboard
/// makes a new one.
const IDLE_DNS: Duration = Duration::hours(12);
/// A visit is written down this often at most, so that reading pages does not
/// write to the database.
const NOTE_EVERY: Duration = Duration::hours(1);
/// The one value of a session.
const KEY: &str = "holder";

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
    },
    /// The operator's host.
    Operator {
        /// The operator's name.
        name: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Kept {
    holder: Holder,
    /// When it was last written, in seconds since 1970.
    noted: i64,
}

/// The layer that reads and writes the cookie. Host-only on purpose: no
/// `Domain`, so a tenant's cookie is never sent to another's host. By TLS its
/// name also forbids other hosts to set it (RFC 6265bis, 4.1.3.2).
pub fn layer(store: Sessions, tls: bool) -> SessionManagerLayer<Sessions> {
    SessionManagerLayer::new(store)
        .with_name(if tls {
            "__Host-mn_session"
        } else {
            "mn_session"
        })
        .with_same_site(SameSite::Lax)
        .with_http_only(true)
        .with_secure(tls)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(IDLE))
}

fn unavailable(e: session::Error) -> Failure {
    tracing::warn!(error = %e, "sessions cannot be read or written");
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
        keep(session, kept.holder.clone()).await?;
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
        session.flush().await.map_err(unavailable)?;
    }
    keep(session, holder).await
}

async fn keep(session: &Session, holder: Holder) -> Result<(), Failure> {
    if matches!(holder, Holder::Dns { .. }) {
        session.set_expiry(Some(Expiry::OnInactivity(IDLE_DNS)));
    }
    let noted = OffsetDateTime::now_utc().unix_timestamp();
    session
        .insert(KEY, Kept { holder, noted })
        .await
        .map_err(unavailable)
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

/// Whether a session is still there, for streams that outlive their request.
pub async fn is_alive(store: &Sessions, id: session::Id) -> bool {
    // A database that does not answer signs nobody out.
    !matches!(store.load(&id).await, Ok(None))
}
