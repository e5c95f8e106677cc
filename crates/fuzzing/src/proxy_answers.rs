//! AdGuard Home's answers on their way to a browser: a redirect, a content
//! type, two headers (a line each) and the page; and where a browser may be
//! sent by what it brought itself.
//!
//! - A redirect stays on its host however a browser reads it.
//! - No cookie, no question for a password and nothing that loosens the rules
//!   of another origin arrives; a policy always does, and allows no script but
//!   the server's own and the page's.

use crate::block_on;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header},
};
use server::web::{
    arrive::path_here,
    onward,
    proxy::page::{incoming, inline_scripts, path_of},
};

const NEVER: [&str; 6] = [
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
    stays(path_here(Some(&text)));
    stays(path_of(&text));
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
    let clean = block_on(incoming(answer, &Uri::from_static("/")));
    let headers = clean.headers();
    assert!(
        NEVER.iter().all(|n| !headers.contains_key(*n)),
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
        panic!("{} policies", policies.len());
    };
    let policy = policy.to_str().expect("our own text");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-eval"));
    for location in headers.get_all(header::LOCATION) {
        stays(location.to_str().expect("a plain path"));
    }
}

/// Whether a browser stays on the host it is on (WHATWG URL, "basic URL
/// parser": tabs and line ends are dropped, a backslash is a slash).
fn stays(path: &str) {
    let read: String = path
        .trim_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .map(|c| if c == '\\' { '/' } else { c })
        .collect();
    assert!(
        read.starts_with('/') && !read.starts_with("//"),
        "{path:?} leads away"
    );
    assert!(path.bytes().all(|c| c.is_ascii_graphic()), "{path:?}");
}

/// A cookie that remembers where somebody was going.
fn cookie(value: &[u8]) {
    let mut headers = HeaderMap::new();
    let Ok(value) = HeaderValue::from_bytes(&[b"a=b; mn_onward=", value].concat()) else {
        return;
    };
    headers.insert(header::COOKIE, value);
    if let Some(path) = onward::remembered(&headers, false) {
        stays(path);
    }
}
