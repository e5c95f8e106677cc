//! The proxy to a tenant's AdGuard Home, on a host of its own. The proxy adds the
//! password of AdGuard Home's API, which the browser never has. AdGuard Home has
//! no CSRF protection, no CSP and a sign-in of its own; all three are replaced
//! here ([`super::origin`], [`page`], the session of this host).

pub mod bodies;
pub mod client;
mod connector;
pub mod page;
pub mod policy;

pub use client::Client;

use super::{
    auth::{scope::Granted, session},
    errors,
    hosts::{RequestInfo, VirtualHost},
    language,
    redirect::see_other,
    state::WebState,
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use domain::{ErrorCode, Failure, Message, TenantName};
use http_body_util::{BodyExt, Limited};
use policy::Verdict;
use tower_sessions::Session;

/// The number of open requests of one tenant to its AdGuard Home, including those
/// whose answer is being sent. It is more than a browser needs for a page. A body
/// is in memory until it is complete.
pub const MAX_REQUESTS: usize = 32;
/// The largest request, in bytes; the largest useful one is a tenant's own rules.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// Answers every request on a `<name>-dns` host that has no route of ours.
pub async fn forward(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    Extension(granted): Extension<Granted>,
    session: Session,
    request: Request,
) -> Response {
    let VirtualHost::Dns(name) = &info.host else {
        return errors::failure(&Failure::not_found());
    };
    let (parts, body) = request.into_parts();
    let Granted::Dns(scope) = granted else {
        return signed_out(&state, &info, name, &parts);
    };
    let check = match policy::judge(&parts.method, parts.uri.path()) {
        Verdict::Forward => None,
        Verdict::Check(kind) => Some(kind),
        Verdict::ToStart => return see_other("/"),
        Verdict::SignOut => return end_session(&state, &info, name, &session).await,
        Verdict::Refuse(why) => return refused(&parts, why),
    };
    let Some(permit) = state.forwarded.try_acquire(scope.tenant()) else {
        return plain_text(
            StatusCode::TOO_MANY_REQUESTS,
            "Too much at one time. Try again in a moment.",
        );
    };
    let Ok(body) = Limited::new(body, MAX_REQUEST_BYTES).collect().await else {
        return plain_text(StatusCode::PAYLOAD_TOO_LARGE, "That is more than 1 MB.");
    };
    let mut body = body.to_bytes();
    if let Some(kind) = check {
        match bodies::rewrite(kind, &body) {
            Ok(rewritten) => body = rewritten.into(),
            Err(why) => return plain_text(StatusCode::BAD_REQUEST, why),
        }
    }
    let is_change = !parts.method.is_safe();
    if is_change && let Err(f) = state.control.dns().count_change(&scope) {
        let message = language::texts().failure(&f);
        return plain_text(StatusCode::TOO_MANY_REQUESTS, &message);
    }
    let target = match state.control.dns().target(&scope).await {
        Ok(target) => target,
        Err(f) => return not_ready(&parts, &f),
    };
    let Some(request) = client::outgoing(&parts, body, &target) else {
        return refused(&parts, "That address is not written the plain way.");
    };
    match state.proxy.request(request).await {
        Ok(answer) => {
            if is_change && answer.status().is_success() {
                let (method, path) = (parts.method.as_str(), parts.uri.path());
                let dns = state.control.dns();
                dns.record_change(&scope, method, path).await;
            }
            // The permit is in use until the answer is sent.
            let body = answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _in_use = &permit;
                    frame
                }))
            });
            let home = state.site.url(info.scheme, name.as_str(), "/");
            page::filter_answer(body, &parts.uri, &home).await
        }
        Err(e) => {
            tracing::info!(tenant = %name, error = ?e, "the tenant's AdGuard Home does not answer");
            let f = Failure::new(ErrorCode::DnsUnavailable, Message::DnsUnanswered);
            not_ready(&parts, &f)
        }
    }
}

/// Answers POST `/sign-out` on a `<name>-dns` host.
pub async fn sign_out(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    session: Session,
) -> Response {
    match &info.host {
        VirtualHost::Dns(name) => end_session(&state, &info, name, &session).await,
        _ => errors::failure(&Failure::not_found()),
    }
}

/// Ends the session of this host and redirects to the dashboard.
async fn end_session(
    state: &WebState,
    info: &RequestInfo,
    name: &TenantName,
    session: &Session,
) -> Response {
    match session::end(session).await {
        Ok(()) => see_other(&state.site.url(info.scheme, name.as_str(), "/")),
        Err(f) => errors::failure(&f),
    }
}

/// Redirects a page to a new ticket. A script gets a 403, at which AdGuard Home's
/// own opens its sign-in page, which leads to a new ticket too.
fn signed_out(state: &WebState, info: &RequestInfo, name: &TenantName, parts: &Parts) -> Response {
    if wants_page(parts) {
        see_other(&state.site.url(info.scheme, name.as_str(), "/dns/open"))
    } else {
        plain_text(StatusCode::FORBIDDEN, "You are signed out.")
    }
}

fn wants_page(parts: &Parts) -> bool {
    let accept = parts
        .headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok());
    parts.method == Method::GET && accept.is_some_and(|a| a.contains("text/html"))
}

/// Refuses with a message that AdGuard Home's UI shows. The status is never 403,
/// which the UI takes for "signed out".
fn refused(parts: &Parts, why: &'static str) -> Response {
    if wants_page(parts) {
        errors::page(StatusCode::NOT_FOUND, "Not found", why)
    } else {
        plain_text(StatusCode::BAD_REQUEST, why)
    }
}

fn plain_text(status: StatusCode, why: &str) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (status, headers, why.to_owned()).into_response()
}

/// Says that AdGuard Home is not ready; a page reloads itself.
fn not_ready(parts: &Parts, f: &Failure) -> Response {
    if f.code == ErrorCode::NotFound {
        return errors::failure(f);
    }
    let message = language::texts().failure(f);
    if !wants_page(parts) {
        return plain_text(StatusCode::SERVICE_UNAVAILABLE, &message);
    }
    let mut page = errors::page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Your DNS filter is starting",
        &message,
    );
    page.headers_mut()
        .insert(header::REFRESH, HeaderValue::from_static("3"));
    page
}
