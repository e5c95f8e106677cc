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

/// How long a file is stored whose name has a hash of its content: a year (RFC 9111, 5.2;
/// RFC 8246). Only by the browser, because another one needs a sign-in of its own.
const HASHED: &str = "private, max-age=31536000, immutable";

/// Returns whether a path is that of a script or style sheet with a hash in its name, as
/// webpack writes it: `/main.510617ef2be32f352e3f.js`.
fn is_hashed(path: &str) -> bool {
    let mut parts = path.rsplit('.');
    let (extension, hash) = (parts.next(), parts.next());
    let is_hash = |h: &str| {
        h.len() >= 16
            && h.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    matches!(extension, Some("js" | "css")) && hash.is_some_and(is_hash) && parts.next().is_some()
}

/// The bar above AdGuard Home's pages. Its own sign-out is hidden: it would end nothing but
/// this host's part of the session. Colours are those of its two themes, with a contrast of
/// at least 7 to 1 (WCAG 2.2, 1.4.6).
const WAY_BACK_STYLE: &str = "<style>.mn-home{display:block;padding:.5rem 1rem;background:#f5f7fb;\
color:#1b2a3a;border-bottom:1px solid #ccd3dd;font:600 14px/1.4 system-ui,sans-serif}\
.mn-home a{color:inherit;text-decoration:underline}\
.mn-home a:focus-visible{outline:3px solid #1d5fd1;outline-offset:2px}\
[data-theme=dark] .mn-home{background:#1b1b1b;color:#f2f2f2;border-color:#444}\
a[href$=\"control/logout\"]{display:none!important}</style>";

/// Puts a link to the dashboard at the beginning of a page's body; a page without one stays
/// as it is.
fn with_way_back(page: &[u8], home: &str) -> Vec<u8> {
    let start = page
        .windows(5)
        .position(|w| w.eq_ignore_ascii_case(b"<body"));
    let end = start.and_then(|s| page[s..].iter().position(|b| *b == b'>').map(|e| s + e + 1));
    let Some(at) = end else {
        return page.to_vec();
    };
    let home: String = home
        .chars()
        .filter(|c| !matches!(c, '"' | '<' | '>' | '&'))
        .collect();
    let bar = format!(
        "{WAY_BACK_STYLE}<nav class=\"mn-home\" aria-label=\"MalikNode\">\
         <a href=\"{home}\">\u{2190} MalikNode: back to your dashboard</a></nav>"
    );
    [&page[..at], bar.as_bytes(), &page[at..]].concat()
}

/// Returns the answer as the browser receives it. `home` is the address of the dashboard.
pub async fn filter_answer(answer: Response<Body>, uri: &Uri, home: &str) -> Response<Body> {
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
    if parts.status == StatusCode::OK && is_hashed(uri.path()) {
        parts
            .headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static(HASHED));
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
    // What AdGuard Home says about the file does not hold for the page with our link.
    parts.headers.remove(header::ETAG);
    parts.headers.remove(header::LAST_MODIFIED);
    Response::from_parts(parts, Body::from(with_way_back(&body, home)))
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

    const HOME: &str = "https://lina.example.org/";

    #[tokio::test]
    async fn pages_lead_back_to_the_dashboard() {
        let page = "<!doctype html><html><head><script>a()</script></head><body class=\"x\"><div id=\"root\"></div></body></html>";
        let answer = Response::builder()
            .header("content-type", "text/html; charset=utf-8")
            .header("content-length", page.len().to_string())
            .header("etag", "\"1\"")
            .body(Body::from(page))
            .unwrap();
        let filtered = filter_answer(answer, &Uri::from_static("/"), HOME).await;
        assert!(filtered.headers().get("content-length").is_none());
        assert!(filtered.headers().get("etag").is_none());
        // The link needs nothing that the policy forbids: no script is added.
        let policy = filtered.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert_eq!(policy.matches("'sha256-").count(), 1, "{policy}");
        let body = filtered.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let body_at = text.find("<body class=\"x\"><style>").unwrap();
        let link_at = text.find("<a href=\"https://lina.example.org/\">").unwrap();
        assert!(body_at < link_at && link_at < text.find("id=\"root\"").unwrap());
        assert_eq!(text.matches("<script").count(), 1);
        // A page without a body stays, and an address cannot leave its attribute.
        assert_eq!(with_way_back(b"<p>", HOME), b"<p>");
        assert_eq!(with_way_back(b"<body", HOME), b"<body");
        let hostile = with_way_back(b"<body>", "x\"><script>");
        assert!(!String::from_utf8(hostile).unwrap().contains("<script"));
    }

    #[tokio::test]
    async fn files_with_a_hash_are_sent_once() {
        for (path, status, stored) in [
            ("/main.510617ef2be32f352e3f.js", 200, true),
            ("/main.58f969c06a3d6b299b63.css", 200, true),
            ("/main.510617ef2be32f352e3f.js", 404, false),
            ("/main.js", 200, false),
            ("/510617ef2be32f352e3f.js", 200, false),
            ("/assets/favicon.png", 200, false),
            ("/control/status", 200, false),
            ("/", 200, false),
        ] {
            let answer = Response::builder()
                .status(status)
                .header("content-type", "text/javascript")
                .body(Body::empty())
                .unwrap();
            let filtered = filter_answer(answer, &path.parse().unwrap(), HOME).await;
            let control = filtered.headers().get("cache-control");
            let immutable = control.is_some_and(|c| c.to_str().unwrap().ends_with("immutable"));
            assert_eq!(immutable, stored, "{path} {status}");
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
        let filtered = filter_answer(answer, &Uri::from_static("/control/status"), HOME).await;
        let mut names: Vec<&str> = filtered.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-security-policy", "content-type", "location"]
        );
        assert_eq!(filtered.headers()["location"], "/login.html");
    }
}
