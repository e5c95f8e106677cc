//! A tenant's routes that are no pages: a device's configuration as a file,
//! and the way to its AdGuard Home.

use crate::web::{WebState, arrive::see_other, errors, host::Asking, onward, scope::Granted};
use axum::{
    Extension,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use domain::{DeviceId, DeviceLabel, ErrorCode, Failure};
use store::SessionKey;
use tower_sessions::Session;

/// The page for a failure; who is signed out is led to the sign-in.
fn failed(f: &Failure) -> Response {
    match f.code {
        ErrorCode::SignedOut => see_other("/sign-in"),
        _ => errors::failure(f),
    }
}

/// GET `/devices/{id}/config`: the `.conf` that WireGuard's programs import.
pub async fn config(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let answer = async {
        let scope = granted.dashboard()?;
        // What is no number is nobody's device.
        let id: Option<DeviceId> = id.ok().and_then(|id| id.parse().ok());
        let id = id.ok_or_else(Failure::not_found)?;
        let (device, config) = state.control.download_config(scope, id).await?;
        let stem = DeviceLabel::parse(&device.label)
            .map_or_else(|_| "device".to_owned(), |l| l.file_stem());
        Ok::<_, Failure>((stem, config.render()))
    };
    let (stem, text) = match answer.await {
        Ok(answer) => answer,
        Err(f) => return failed(&f),
    };
    let mut headers = HeaderMap::new();
    // Not text/plain: some phones would add ".txt", which WireGuard refuses.
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A file stem is letters, digits and hyphens: nothing to quote.
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{stem}.conf\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    (headers, text.as_str().to_owned()).into_response()
}

/// GET `/dns/open`: with a one-time ticket to the host of the tenant's
/// AdGuard Home. Who has to sign in first comes back here after it.
pub async fn dns_open(
    State(state): State<WebState>,
    Extension(asking): Extension<Asking>,
    Extension(granted): Extension<Granted>,
    session: Session,
) -> Response {
    let answer = async {
        let scope = granted.dashboard()?;
        let id = session.id().ok_or_else(Failure::signed_out)?;
        let session = SessionKey::of(&id);
        let ticket = state.control.dns_ticket(scope, &session).await?;
        // A ticket is letters, digits, hyphens and underscores.
        let path = format!("/arrive?ticket={}", ticket.expose());
        Ok(state
            .site
            .url(asking.scheme, &format!("{}-dns", scope.name()), &path))
    };
    match answer.await {
        Ok(url) => see_other(&url),
        Err(f) => {
            let mut response = failed(&f);
            if f.code == ErrorCode::SignedOut {
                onward::remember(&mut response, state.is_tls(), "/dns/open");
            }
            response
        }
    }
}
