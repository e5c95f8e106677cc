//! A tenant's routes that are not pages: the download of a device's configuration,
//! and the redirect to the tenant's AdGuard Home.

use super::{
    auth::{return_to, scope::Granted},
    errors,
    hosts::RequestInfo,
    redirect::{see_other, url_with},
    state::WebState,
};
use app::context::RequestContext;
use axum::{
    Extension,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use domain::{DeviceId, ErrorCode, Failure};
use serde::Deserialize;
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
    context: Option<Extension<RequestContext>>,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let page = match &id {
        Ok(Path(id)) => format!("/devices/{id}"),
        Err(_) => "/devices".to_owned(),
    };
    let answer = async {
        let scope = granted.holder()?;
        // Text that is not a number is not a device.
        let id: Option<DeviceId> = id.ok().and_then(|id| id.parse().ok());
        let id = id.ok_or_else(Failure::not_found)?;
        let account = context.and_then(|Extension(context)| context.account);
        let presence = match account {
            Some(account) => state.control.account().presence_if_any(&account).await?,
            None => None,
        };
        let devices = state.control.devices();
        let (device, config) = devices.download_config(scope, id, presence).await?;
        Ok::<_, Failure>((device.file_stem(), config.render()))
    };
    let (stem, text) = match answer.await {
        Ok(answer) => answer,
        // The device's page asks for the proof, and offers a new key beside it.
        Err(f) if f.code == ErrorCode::PresenceNeeded => return see_other(&page),
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

/// The query of `/dns/open`.
#[derive(Deserialize)]
pub struct DnsOpenQuery {
    /// The hash of the nonce that the browser has on AdGuard Home's host.
    browser: Option<String>,
}

/// Answers GET `/dns/open`: redirects to the host of the tenant's AdGuard Home, which
/// sends the browser back with a nonce's hash, and then with a one-time ticket that is
/// bound to it. A client that must sign in first returns here after it.
pub async fn dns_open(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    Extension(granted): Extension<Granted>,
    session: Session,
    query: Result<Query<DnsOpenQuery>, QueryRejection>,
) -> Response {
    let answer = async {
        let scope = granted.holder()?;
        let id = session.id().ok_or_else(Failure::signed_out)?;
        let browser = query.ok().and_then(|Query(query)| query.browser);
        let path = match browser {
            Some(browser) => {
                let auth = state.control.auth();
                let ticket = auth.dns_ticket(scope, &SessionKey::of(&id)).await?;
                auth.bind_ticket(ticket.expose(), &browser).await?;
                url_with("/arrive", &[("ticket", ticket.expose())])
            }
            None => "/arrive".to_owned(),
        };
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
