//! Filters AdGuard Home's answers for the browser: removes headers that the
//! browser must not see, keeps redirects on this host, and adds a content security
//! policy.

use crate::web::redirect::local_path;
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, Uri, header},
    response::IntoResponse,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt, Limited};
use sha2::{Digest, Sha256};

/// The largest HTML page, in bytes; the UI's has 2 KB.
const MAX_PAGE_BYTES: usize = 256 * 1024;

/// The headers of AdGuard Home's answers that are removed: hop-by-hop headers
/// (RFC 9110, 7.6.1), its cookies, and what it says about access and security,
/// which we decide.
const REMOVED: [&str; 17] = [
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

/// Returns whether a path is one of the UI's HTML pages, whose body is read here.
pub fn is_page(path: &str) -> bool {
    path == "/" || path.ends_with(".html")
}

/// Returns the answer as the browser receives it.
pub async fn filter_answer(answer: Response<Body>, uri: &Uri) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let hop_by_hop: Vec<HeaderName> = parts
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    for name in hop_by_hop {
        parts.headers.remove(name);
    }
    for name in REMOVED {
        parts.headers.remove(HeaderName::from_static(name));
    }
    if let Some(location) = parts.headers.get(header::LOCATION) {
        let path = location.to_str().map_or("/", |l| path_of(l));
        let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
        parts.headers.insert(header::LOCATION, path);
    }
    // If our password is refused, it is our fault; the browser must not ask for one.
    if parts.status == StatusCode::UNAUTHORIZED || parts.status == StatusCode::FORBIDDEN {
        tracing::warn!(path = uri.path(), "AdGuard Home refused our password");
        parts.status = StatusCode::BAD_GATEWAY;
    }
    let html = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/html"));
    if !html {
        parts
            .headers
            .insert(header::CONTENT_SECURITY_POLICY, policy(&[]));
        return Response::from_parts(parts, body);
    }
    let Ok(body) = Limited::new(body, MAX_PAGE_BYTES).collect().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let body = body.to_bytes();
    let scripts = inline_scripts(&String::from_utf8_lossy(&body));
    parts
        .headers
        .insert(header::CONTENT_SECURITY_POLICY, policy(&scripts));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

/// Returns the path to which a redirect leads on this host, the only one that
/// AdGuard Home redirects to.
pub fn path_of(location: &str) -> &str {
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |i| &rest[i..]),
        None => location,
    };
    local_path(Some(path))
}

/// Returns the UI's content security policy. Each page sets the theme with an inline
/// script, which its hash allows; React sets inline styles.
fn policy(scripts: &[String]) -> HeaderValue {
    let hashes: String = scripts.iter().map(|h| format!(" 'sha256-{h}'")).collect();
    let text = format!(
        "default-src 'none'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Returns the hashes of a page's inline scripts (CSP Level 3, 6.7.3.3: of the text
/// between the tags), at most eight, which is more than a page of the UI has.
pub fn inline_scripts(html: &str) -> Vec<String> {
    let mut hashes = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find("<script") {
        rest = &rest[start + "<script".len()..];
        let Some(open) = rest.find('>') else { break };
        let external = rest[..open].contains("src=");
        rest = &rest[open + 1..];
        let Some(end) = rest.find("</script") else {
            break;
        };
        if !external && end > 0 && hashes.len() < 8 {
            hashes.push(STANDARD.encode(Sha256::digest(&rest.as_bytes()[..end])));
        }
        rest = &rest[end..];
    }
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_on_this_host() {
        for (location, path) in [
            ("/login.html", "/login.html"),
            ("http://10.92.1.1:3000/x?y=1", "/x?y=1"),
            ("https://evil.example", "/"),
            ("//evil.example/x", "/"),
            ("/\\evil.example", "/"),
            ("login.html", "/"),
            ("https://evil.example//evil.example/", "/"),
            ("javascript:alert(1)", "/"),
        ] {
            assert_eq!(path_of(location), path, "{location}");
        }
    }

    #[test]
    fn inline_scripts_are_allowed_by_hash() {
        let html = "<script defer src=\"a.js\"></script><script>alert(1)</script><p>";
        let hashes = inline_scripts(html);
        // printf 'alert(1)' | openssl dgst -sha256 -binary | base64
        assert_eq!(hashes, ["bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="]);
        let policy = policy(&hashes);
        let policy = policy.to_str().unwrap();
        assert!(
            policy.contains("script-src 'self' 'sha256-bhHHL3z2"),
            "{policy}"
        );
        assert!(inline_scripts("<script>never closed").is_empty());
        assert!(inline_scripts("<script").is_empty());
    }

    #[tokio::test]
    async fn internal_headers_are_removed() {
        let answer = Response::builder()
            .header("connection", "x-hop, close")
            .header("x-hop", "1")
            .header("set-cookie", "agh_session=1")
            .header("server", "AdGuardHome")
            .header("access-control-allow-origin", "*")
            .header("location", "http://10.92.0.9:3000/login.html")
            .header("content-type", "application/json")
            .body(Body::from("{}"))
            .unwrap();
        let filtered = filter_answer(answer, &Uri::from_static("/control/status")).await;
        let mut names: Vec<&str> = filtered.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-security-policy", "content-type", "location"]
        );
        assert_eq!(filtered.headers()["location"], "/login.html");
    }
}
