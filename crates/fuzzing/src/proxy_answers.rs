//! AdGuard Home's responses, proxied to a browser: a redirect, a content type,
//! two headers (each a line) and the page. Also the redirects that a browser's
//! own cookies and parameters can cause.
//!
//! - A redirect stays on its host, however a browser parses it.
//! - No cookie, no password prompt and no header that weakens the same-origin
//!   policy is passed on. A content security policy always is, and allows no
//!   script but the server's own and the page's.

use crate::block_on;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header},
};
use server::web::{
    auth::return_to,
    proxy::page::{filter_answer, inline_scripts, path_of},
    redirect::local_path,
};

/// Headers that must not be passed on.
const FORBIDDEN: [&str; 6] = [
    "set-cookie",
    "www-authenticate",
    "connection",
    "transfer-encoding",
    "access-control-allow-origin",
    "clear-site-data",
];

pub(crate) fn run(data: &[u8]) {
    let mut parts = data.splitn(5, |b| *b == b'\n');
    let mut line = || parts.next().unwrap_or_default();
    let (location, kind, headers, page) = (line(), line(), [line(), line()], line());
    let text = String::from_utf8_lossy(location);
    stays_on_host(local_path(Some(&text)));
    stays_on_host(path_of(&text));
    cookie(location);

    let html = String::from_utf8_lossy(page);
    let scripts = inline_scripts(&html);
    assert!(scripts.len() <= 8 && scripts.iter().all(|h| h.len() == 44));

    let mut answer = Response::new(Body::from(page.to_vec()));
    *answer.status_mut() =
        StatusCode::from_u16(200 + location.len() as u16 % 300).unwrap_or_default();
    let mut put = |name: HeaderName, value: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            answer.headers_mut().append(name, value);
        }
    };
    put(header::LOCATION, location);
    put(header::CONTENT_TYPE, kind);
    for one in headers {
        let mut pair = one.splitn(2, |b| *b == b':');
        if let Ok(name) = HeaderName::from_bytes(pair.next().unwrap_or_default()) {
            put(name, pair.next().unwrap_or_default());
        }
    }
    let clean = block_on(filter_answer(
        answer,
        &Uri::from_static("/"),
        "https://lina.example.org/",
    ));
    let headers = clean.headers();
    assert!(
        FORBIDDEN.iter().all(|n| !headers.contains_key(*n)),
        "{headers:?}"
    );
    if clean.status() == StatusCode::BAD_GATEWAY && headers.is_empty() {
        return;
    }
    let policies: Vec<_> = headers
        .get_all(header::CONTENT_SECURITY_POLICY)
        .iter()
        .collect();
    let [policy] = policies.as_slice() else {
        panic!("{} policies instead of one", policies.len());
    };
    let policy = policy.to_str().expect("our own text");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-eval"));
    for location in headers.get_all(header::LOCATION) {
        stays_on_host(location.to_str().expect("a plain path"));
    }
}

/// Checks that a browser stays on its host (WHATWG URL, "basic URL parser": tabs
/// and line ends are dropped, a backslash is a slash).
fn stays_on_host(path: &str) {
    let read: String = path
        .trim_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .map(|c| if c == '\\' { '/' } else { c })
        .collect();
    assert!(
        read.starts_with('/') && !read.starts_with("//"),
        "{path:?} leads to another host"
    );
    assert!(path.bytes().all(|c| c.is_ascii_graphic()), "{path:?}");
}

/// Checks the cookie that stores the page to return to after signing in.
fn cookie(value: &[u8]) {
    let mut headers = HeaderMap::new();
    let Ok(value) = HeaderValue::from_bytes(&[b"a=b; mn_return_to=", value].concat()) else {
        return;
    };
    headers.insert(header::COOKIE, value);
    if let Some(path) = return_to::get(&headers, false) {
        stays_on_host(path);
    }
}
