//! The HTTP client of the AdGuard Homes, and the request that one receives.

use super::{
    connector::{Connector, authority},
    page,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts};
use base64::{Engine, engine::general_purpose::STANDARD};
use control::{Control, DnsTarget};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use std::time::Duration;

/// How long an unused connection to a container stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The headers that a browser may send to AdGuard Home. Cookies are not among them:
/// with a cookie of its own, AdGuard Home would ignore our password.
const ALLOWED: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::RANGE,
    header::USER_AGENT,
];

/// A client with a pool of connections to all AdGuard Homes, wherever they are.
#[derive(Clone)]
pub struct Client(legacy::Client<Connector, Full<Bytes>>);

impl Client {
    /// Returns a client without connections.
    pub fn new(control: Control) -> Self {
        let connector = Connector::new(control);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(4)
            .build(connector);
        Self(client)
    }

    pub(super) async fn request(
        &self,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<hyper::Response<Incoming>, legacy::Error> {
        self.0.request(request).await
    }
}

/// Builds the request to AdGuard Home from the browser's, with our password.
pub(super) fn outgoing(
    parts: &Parts,
    body: Bytes,
    target: &DnsTarget,
) -> Option<hyper::Request<Full<Bytes>>> {
    let mut request = hyper::Request::builder()
        .method(parts.method.clone())
        .uri(uri_at(&authority(target.at, &target.name), &parts.uri)?);
    if let Some(headers) = request.headers_mut() {
        copy_allowed(&parts.headers, headers);
        if body.is_empty() {
            // AdGuard Home refuses a content type without a body.
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
        // AdGuard Home is not told by which name we know its tenant.
        headers.insert(header::HOST, HeaderValue::from_static("adguard-home"));
    }
    request.body(Full::new(body)).ok()
}

/// Returns the same path and query at another authority.
pub fn uri_at(authority: &str, uri: &Uri) -> Option<Uri> {
    let query = uri.query().map_or(String::new(), |q| format!("?{q}"));
    format!("http://{authority}{}{query}", uri.path())
        .parse()
        .ok()
}

fn copy_allowed(from: &HeaderMap, to: &mut HeaderMap) {
    for name in ALLOWED {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
}
