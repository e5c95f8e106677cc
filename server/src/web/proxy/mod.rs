//! A tenant's AdGuard Home on a host of its own: its API's password is put in
//! here, the browser never has it. AdGuard Home has no CSRF protection, no
//! CSP and a sign-in of its own; all three are ours ([`super::origin`],
//! [`page`], the session of this host).

pub mod bodies;
pub mod page;
pub mod policy;

use crate::web::{
    WebState,
    arrive::see_other,
    errors,
    host::{Asked, Asking},
    scope::Granted,
    session,
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use control::DnsTarget;
use domain::{ErrorCode, Failure, TenantName};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use policy::Verdict;
use std::{net::SocketAddr, time::Duration};
use tower_sessions::Session;

/// Requests of one tenant on their way to its AdGuard Home, answers that are
/// being sent included: more than a browser asks at once for a page. A body is
/// held in memory until it is whole.
pub const AT_ONCE: usize = 32;
/// Largest request, bytes: a tenant's own rules, pasted.
const LARGEST: usize = 1 << 20;
/// A container is on this machine.
const CONNECT: Duration = Duration::from_secs(2);
/// Connections to a container that wait for the next request.
const IDLE: Duration = Duration::from_secs(30);

/// What a browser may say to AdGuard Home. No cookie: with one of its own,
/// AdGuard Home would not look at our password.
const ALLOWED: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::RANGE,
    header::USER_AGENT,
];

/// What of its answers stays here: hop-by-hop headers (RFC 9110, 7.6.1), its
/// cookies, and what it says about access and safety, which we say.
const DROPPED: [&str; 17] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "set-cookie",
    "www-authenticate",
    "server",
    "alt-svc",
    "strict-transport-security",
    "content-security-policy",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "clear-site-data",
];

/// The connections to all containers.
#[derive(Clone, Debug)]
pub struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Client {
    /// Without connections.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(4)
            .build(connector);
        Self(client)
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// Answers everything on a `<name>-dns` host that is not ours.
pub async fn forward(
    State(state): State<WebState>,
    Extension(asking): Extension<Asking>,
    Extension(granted): Extension<Granted>,
    session: Session,
    request: Request,
) -> Response {
    let Asked::Dns(name) = &asking.asked else {
        return errors::failure(&Failure::not_found());
    };
    let (parts, body) = request.into_parts();
    let Granted::Dns(scope) = granted else {
        return signed_out(&state, &asking, name, &parts);
    };
    let check = match policy::judge(&parts.method, parts.uri.path()) {
        Verdict::Forward => None,
        Verdict::Check(kind) => Some(kind),
        Verdict::ToStart => return see_other("/"),
        Verdict::SignOut => return leave(&state, &asking, name, &session).await,
        Verdict::Refuse(why) => return refused(&parts, why),
    };
    let Some(place) = state.forwarded.take(scope.tenant()) else {
        return told(
            StatusCode::TOO_MANY_REQUESTS,
            "Too much at one time. Try again in a moment.",
        );
    };
    let Ok(body) = Limited::new(body, LARGEST).collect().await else {
        return told(StatusCode::PAYLOAD_TOO_LARGE, "That is more than 1 MB.");
    };
    let mut body = body.to_bytes();
    if let Some(kind) = check {
        match bodies::rewrite(kind, &body) {
            Ok(clean) => body = clean.into(),
            Err(why) => return told(StatusCode::BAD_REQUEST, why),
        }
    }
    let target = match state.control.dns_target(&scope).await {
        Ok(target) => target,
        Err(f) => return starting(&parts, &f),
    };
    let Some(request) = outgoing(&parts, body, &target) else {
        return refused(&parts, "That address is not written the plain way.");
    };
    match state.proxy.0.request(request).await {
        Ok(answer) => {
            // The place is kept until the answer is sent.
            let body = answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _kept = &place;
                    frame
                }))
            });
            page::incoming(body, &parts.uri).await
        }
        Err(e) => {
            tracing::info!(tenant = %name, error = ?e, "the tenant's AdGuard Home does not answer");
            let f = Failure::new(
                ErrorCode::DnsUnavailable,
                "Your DNS filter does not answer. It is tried again.",
            );
            starting(&parts, &f)
        }
    }
}

/// POST `/sign-out` on a `<name>-dns` host.
pub async fn sign_out(
    State(state): State<WebState>,
    Extension(asking): Extension<Asking>,
    session: Session,
) -> Response {
    match &asking.asked {
        Asked::Dns(name) => leave(&state, &asking, name, &session).await,
        _ => errors::failure(&Failure::not_found()),
    }
}

/// Ends the session of this host, and back to the dashboard.
async fn leave(
    state: &WebState,
    asking: &Asking,
    name: &TenantName,
    session: &Session,
) -> Response {
    match session::end(session).await {
        Ok(()) => see_other(&state.site.url(asking.scheme, name.as_str(), "/")),
        Err(f) => errors::failure(&f),
    }
}

/// A page leads to a new ticket; a script is told, and AdGuard Home's own
/// then opens its sign-in page, which leads there too.
fn signed_out(state: &WebState, asking: &Asking, name: &TenantName, parts: &Parts) -> Response {
    if wants_page(parts) {
        see_other(&state.site.url(asking.scheme, name.as_str(), "/dns/open"))
    } else {
        told(StatusCode::FORBIDDEN, "You are signed out.")
    }
}

fn wants_page(parts: &Parts) -> bool {
    let accept = parts
        .headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok());
    parts.method == Method::GET && accept.is_some_and(|a| a.contains("text/html"))
}

/// A sentence for AdGuard Home's UI, which shows it. Never 403: the UI takes
/// that for "signed out".
fn refused(parts: &Parts, why: &'static str) -> Response {
    if wants_page(parts) {
        errors::page(StatusCode::NOT_FOUND, "Not found", why)
    } else {
        told(StatusCode::BAD_REQUEST, why)
    }
}

fn told(status: StatusCode, why: &str) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (status, headers, why.to_owned()).into_response()
}

/// It is not there yet: a page that looks again by itself.
fn starting(parts: &Parts, f: &Failure) -> Response {
    if f.code == ErrorCode::NotFound {
        return errors::failure(f);
    }
    if !wants_page(parts) {
        return told(StatusCode::SERVICE_UNAVAILABLE, &f.sentence);
    }
    let mut page = errors::page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Your DNS filter is starting",
        &f.sentence,
    );
    page.headers_mut()
        .insert(header::REFRESH, HeaderValue::from_static("3"));
    page
}

/// The request as AdGuard Home gets it.
fn outgoing(parts: &Parts, body: Bytes, target: &DnsTarget) -> Option<hyper::Request<Full<Bytes>>> {
    let mut request = hyper::Request::builder()
        .method(parts.method.clone())
        .uri(uri_at(target.address, &parts.uri)?);
    if let Some(headers) = request.headers_mut() {
        copy(&parts.headers, headers);
        if body.is_empty() {
            // AdGuard Home refuses a type without a body.
            headers.remove(header::CONTENT_TYPE);
        }
        if !page::is_page(parts.uri.path())
            && let Some(encodings) = parts.headers.get(header::ACCEPT_ENCODING)
        {
            headers.insert(header::ACCEPT_ENCODING, encodings.clone());
        }
        let basic = STANDARD.encode(format!("{}:{}", target.user, target.password.expose()));
        let mut basic = HeaderValue::from_str(&format!("Basic {basic}")).ok()?;
        basic.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, basic);
    }
    request.body(Full::new(body)).ok()
}

/// The same path and query at a container's address.
pub fn uri_at(address: SocketAddr, asked: &Uri) -> Option<Uri> {
    let query = asked.query().map_or(String::new(), |q| format!("?{q}"));
    format!("http://{address}{}{query}", asked.path())
        .parse()
        .ok()
}

fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    for name in ALLOWED {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
}
