//! Every change must come from a page of this host. SameSite cookies do not ensure
//! that: subdomains of one site are same-site to each other, and server functions
//! accept forms from any page.

use crate::web::{
    errors,
    hosts::{RequestInfo, Site, VirtualHost},
    language,
};
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use domain::{ErrorCode, Failure, Message};
use std::sync::Arc;

/// Returns whether a request is allowed, by its method and headers.
///
/// - A request that changes nothing may come from any origin: other origins
///   cannot read the answer.
/// - A browser sends `Origin` with every change. It must be this host; if
///   `Sec-Fetch-Site` is present too, it must agree.
/// - A client without both headers is not a browser. It is allowed unless it
///   sends a cookie: then something removed the headers.
pub fn is_allowed(info: &RequestInfo, method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return true;
    }
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    let one_origin = headers.get_all(header::ORIGIN).iter().count() <= 1;
    match (text("origin"), text("sec-fetch-site")) {
        (Some(origin), site) => {
            one_origin
                && info.authority.is_origin(info.scheme, origin)
                && site.is_none_or(|s| s == "same-origin")
        }
        (None, Some(site)) => site == "same-origin",
        (None, None) => !headers.contains_key(header::COOKIE),
    }
}

/// Refuses a change from another origin.
pub async fn check(
    State(site): State<Arc<Site>>,
    Extension(info): Extension<RequestInfo>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if is_allowed(&info, request.method(), headers) || is_named(&site, &info, headers) {
        return next.run(request).await;
    }
    tracing::info!(host = %info.authority, from = %info.client, "a change from another origin was refused");
    if info.host == VirtualHost::Api {
        let failure = Failure::new(ErrorCode::WrongOrigin, Message::OtherOrigin);
        let client = api::Client {
            address: info.client,
            texts: language::texts(),
            may_operate: site.answers_operators(info.client),
        };
        return api::refuse(&failure, client);
    }
    errors::page(
        StatusCode::FORBIDDEN,
        "Not allowed",
        "That request came from another site and was refused. Go back, reload the page and try again.",
    )
}

/// Returns whether a request to the REST interface comes from a page whose origin the operator
/// named. It shows a token, and no cookie.
fn is_named(site: &Site, info: &RequestInfo, headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (origin, more) = (origins.next(), origins.next());
    let is_named = |origin: &HeaderValue| site.cors_origins.iter().any(|named| named == origin);
    info.host == VirtualHost::Api
        && more.is_none()
        && origin.is_some_and(is_named)
        && !headers.contains_key(header::COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::authority::Authority;
    use axum::http::HeaderName;

    fn allowed(method: Method, headers: &[(&'static str, &'static str)]) -> bool {
        let info = RequestInfo {
            host: VirtualHost::Base,
            authority: Authority::parse("abcd.localhost:8085").unwrap(),
            scheme: "http",
            client: [127, 0, 0, 1].into(),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        is_allowed(&info, &method, &map)
    }

    const OWN: (&str, &str) = ("origin", "http://abcd.localhost:8085");
    const OTHER: (&str, &str) = ("origin", "http://mallory.localhost:8085");
    const COOKIE: (&str, &str) = ("cookie", "mn_session=x");

    #[test]
    fn a_change_needs_this_origin_and_reading_none() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(allowed(method, &[OTHER, COOKIE]));
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            for (yes, headers) in [
                (true, &[OWN, COOKIE][..]),
                (true, &[OWN]),
                (true, &[OWN, ("sec-fetch-site", "same-origin"), COOKIE]),
                (true, &[("sec-fetch-site", "same-origin"), COOKIE]),
                (true, &[]),
                (false, &[COOKIE]),
                (false, &[OTHER]),
                (false, &[OTHER, COOKIE]),
                (false, &[("origin", "null"), COOKIE]),
                (
                    false,
                    &[("origin", "http://abcd-dns.localhost:8085"), COOKIE],
                ),
                (false, &[("origin", "http://localhost:8085"), COOKIE]),
                (false, &[("origin", "https://abcd.localhost:8085"), COOKIE]),
                (false, &[OWN, OTHER, COOKIE]),
                (false, &[OTHER, ("sec-fetch-site", "same-origin"), COOKIE]),
                (false, &[OWN, ("sec-fetch-site", "same-site"), COOKIE]),
                (false, &[("sec-fetch-site", "same-site"), COOKIE]),
                (false, &[("sec-fetch-site", "cross-site")]),
                (false, &[("sec-fetch-site", "none"), COOKIE]),
                (false, &[("origin", "")]),
            ] {
                assert_eq!(
                    allowed(method.clone(), headers),
                    yes,
                    "{method} {headers:?}"
                );
            }
        }
    }
}
