//! A tenant's routes that are not pages: the download of a device's configuration,
//! and the redirect to the tenant's AdGuard Home.

use super::{
    auth::{return_to, scope::Granted},
    errors,
    hosts::RequestInfo,
    redirect::see_other,
    state::WebState,
};
use axum::{
    Extension,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use domain::{DeviceId, DeviceLabel, ErrorCode, Failure};
use store::SessionKey;
use tower_sessions::Session;

/// Returns the page for a failure; redirects a signed-out client to the sign-in.
fn failure(f: &Failure) -> Response {
    match f.code {
        ErrorCode::SignedOut => see_other("/sign-in"),
        _ => errors::failure(f),
    }
}

/// Answers GET `/devices/{id}/config` with the `.conf` file that WireGuard's
/// programs import.
pub async fn config(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let answer = async {
        let scope = granted.dashboard()?;
        // Text that is not a number is not a device.
        let id: Option<DeviceId> = id.ok().and_then(|id| id.parse().ok());
        let id = id.ok_or_else(Failure::not_found)?;
        let (device, config) = state.control.devices().download_config(scope, id).await?;
        let stem = DeviceLabel::parse(&device.label)
            .map_or_else(|_| "device".to_owned(), |l| l.file_stem());
        Ok::<_, Failure>((stem, config.render()))
    };
    let (stem, text) = match answer.await {
        Ok(answer) => answer,
        Err(f) => return failure(&f),
    };
    let mut headers = HeaderMap::new();
    // Not text/plain: some phones would add ".txt", which WireGuard refuses.
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A file stem has only letters, digits and hyphens, so it needs no quoting.
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{stem}.conf\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    (headers, text.as_str().to_owned()).into_response()
}

/// Answers GET `/dns/open`: redirects with a one-time ticket to the host of the
/// tenant's AdGuard Home. A client that must sign in first returns here after it.
pub async fn dns_open(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    Extension(granted): Extension<Granted>,
    session: Session,
) -> Response {
    let answer = async {
        let scope = granted.dashboard()?;
        let id = session.id().ok_or_else(Failure::signed_out)?;
        let session = SessionKey::of(&id);
        let ticket = state.control.auth().dns_ticket(scope, &session).await?;
        // A ticket has only letters, digits, hyphens and underscores.
        let path = format!("/arrive?ticket={}", ticket.expose());
        Ok(state
            .site
            .url(info.scheme, &format!("{}-dns", scope.name()), &path))
    };
    match answer.await {
        Ok(url) => see_other(&url),
        Err(f) => {
            let mut response = failure(&f);
            if f.code == ErrorCode::SignedOut {
                return_to::set(&mut response, state.is_tls(), "/dns/open");
            }
            response
        }
    }
}
