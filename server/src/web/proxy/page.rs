//! AdGuard Home's answers on their way to the browser: without what is not
//! the browser's, redirects kept on this host, and with a policy for its UI.

use super::DROPPED;
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, Uri, header},
    response::IntoResponse,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt, Limited};
use sha2::{Digest, Sha256};

/// Largest HTML page, bytes; the UI's is 2 KB.
const LARGEST: usize = 256 * 1024;

/// Whether a path is one of the UI's HTML pages, which is read on the way.
pub fn is_page(path: &str) -> bool {
    path == "/" || path.ends_with(".html")
}

/// The answer as the browser gets it.
pub async fn incoming(answer: Response<Body>, asked: &Uri) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let named: Vec<HeaderName> = parts
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    for name in named {
        parts.headers.remove(name);
    }
    for name in DROPPED {
        parts.headers.remove(HeaderName::from_static(name));
    }
    if let Some(location) = parts.headers.get(header::LOCATION) {
        let here = location.to_str().map_or("/", |l| path_of(l));
        let here = HeaderValue::from_str(here).unwrap_or(HeaderValue::from_static("/"));
        parts.headers.insert(header::LOCATION, here);
    }
    // A refusal of our password is our fault, and no question to the browser.
    if parts.status == StatusCode::UNAUTHORIZED || parts.status == StatusCode::FORBIDDEN {
        tracing::warn!(path = asked.path(), "AdGuard Home refused our password");
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
    let Ok(body) = Limited::new(body, LARGEST).collect().await else {
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

/// Where a redirect leads, on this host: AdGuard Home knows no other.
pub fn path_of(location: &str) -> &str {
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |i| &rest[i..]),
        None => location,
    };
    crate::web::arrive::path_here(Some(path))
}

/// The UI's policy. Its pages set the theme by an inline script each, which
/// is allowed by its hash; styles are set by script (React).
fn policy(scripts: &[String]) -> HeaderValue {
    let hashes: String = scripts.iter().map(|h| format!(" 'sha256-{h}'")).collect();
    let text = format!(
        "default-src 'none'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The hashes of a page's inline scripts (CSP Level 3, 6.7.3.3: of the text
/// between the tags). Eight at most: more than any page of the UI has.
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
    fn inline_scripts_are_allowed_by_their_hash_and_others_not() {
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
    async fn what_is_not_the_browsers_is_taken_out() {
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
        let clean = incoming(answer, &Uri::from_static("/control/status")).await;
        let mut names: Vec<&str> = clean.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-security-policy", "content-type", "location"]
        );
        assert_eq!(clean.headers()["location"], "/login.html");
    }
}
