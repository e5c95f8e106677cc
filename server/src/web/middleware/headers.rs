//! The security headers of every answer. A header that an answer has already is
//! not replaced.

use crate::web::{errors, host_label::HostLabel};
use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// The names below the base are this installation's, and a wildcard certificate serves them:
/// none of them is ever meant without TLS.
const HSTS: &str = "max-age=31536000; includeSubDomains";

/// Whether browsers use TLS.
#[derive(Clone, Copy, Debug)]
pub struct Tls(pub bool);

/// Adds the headers.
pub async fn add_security_headers(
    State(Tls(tls)): State<Tls>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let is_ours = response.extensions().get::<HostLabel>().is_some();
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not no-referrer: forms without JavaScript need it to show errors.
    add(header::REFERRER_POLICY, "same-origin");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    );
    add(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    add(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    // The app's pages have a policy of their own, with a nonce. Every other answer
    // that is opened as a page may load nothing.
    add(header::CONTENT_SECURITY_POLICY, errors::POLICY);
    // Of a name that is not ours, nothing is promised.
    if tls && is_ours {
        add(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware::from_fn_with_state, routing::get};
    use tower::ServiceExt;

    /// Returns the header of an answer of one of our hosts, or of a host that is not ours.
    async fn hsts(tls: bool, is_ours: bool) -> Option<String> {
        let answer = move || async move {
            let mut response = Response::new(Body::empty());
            if is_ours {
                response.extensions_mut().insert(HostLabel("tenant"));
            }
            response
        };
        let headers = from_fn_with_state(Tls(tls), add_security_headers);
        let router = Router::new().route("/", get(answer)).layer(headers);
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let value = response.headers().get(header::STRICT_TRANSPORT_SECURITY);
        value.map(|v| v.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn tls_is_promised_for_our_names_and_subdomains_alone() {
        let promised = hsts(true, true).await.expect("behind TLS");
        assert!(promised.contains("; includeSubDomains"), "{promised}");
        let age = promised.split(['=', ';']).nth(1).unwrap();
        assert!(age.parse::<u64>().unwrap() >= 31_536_000, "a year");
        assert_eq!(hsts(true, false).await, None, "a host that is not ours");
        assert_eq!(hsts(false, true).await, None, "without TLS");
    }
}
