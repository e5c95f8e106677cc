//! The requests to AdGuard Home that a browser may make, by method and path.
//!
//! - A path that leads to a closed resource is refused in every reading of a
//!   server or proxy on the way (decoded once or more, with dots, doubled
//!   slashes, backslashes, parameters, capital letters).
//! - A forwarded path has only one reading, and is requested from the
//!   container's address only.

use axum::http::{Method, Uri};
use server::web::proxy::{
    client::uri_at,
    policy::{Verdict, judge},
};

const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::OPTIONS,
];

/// Paths that no browser may reach, and everything below them.
const CLOSED: &[&str] = &[
    "control/tls",
    "control/dhcp",
    "control/update",
    "control/install",
    "control/login",
    "install",
    "install.html",
    "dns-query",
    "apple",
    "debug",
    "resolve",
];

pub(crate) fn run(data: &[u8]) {
    let Some((method, rest)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    // First any text, which may not be a valid path, then the path of a URI.
    holds(*method, &text);
    if let Ok(uri) = text.parse::<Uri>() {
        holds(*method, uri.path());
        let method = &METHODS[usize::from(*method) % METHODS.len()];
        if matches!(
            judge(method, uri.path()),
            Verdict::Forward | Verdict::Check(_)
        ) {
            let out = uri_at("1-7.alice", &uri).expect("a forwarded path is a valid URI");
            assert_eq!(out.authority().map(|a| a.as_str()), Some("1-7.alice"));
            assert_eq!(out.scheme_str(), Some("http"));
            assert_eq!((out.path(), out.query()), (uri.path(), uri.query()));
        }
    }
}

fn holds(method: u8, path: &str) {
    let method = &METHODS[usize::from(method) % METHODS.len()];
    match judge(method, path) {
        Verdict::Forward | Verdict::Check(_) => {}
        Verdict::SignOut => return assert_eq!(path, "/control/logout"),
        Verdict::ToStart => {
            let path = path.to_ascii_lowercase();
            let page = path == "/login.html" || path.starts_with("/login.html/");
            return assert!(
                page || path == "/control/login",
                "{path} redirects to the start page"
            );
        }
        Verdict::Refuse(why) => return assert!(!why.is_empty()),
    }
    assert!(path.starts_with('/') && path.len() <= 256);
    let mut reading = path.to_owned();
    // Each decoding may reveal another encoding.
    for _ in 0..4 {
        let plain = normalized(&reading);
        assert_eq!(
            format!("/{plain}"),
            path.to_ascii_lowercase(),
            "two readings"
        );
        let closed =
            |c: &&&str| plain == **c || plain.strip_prefix(**c).is_some_and(|r| r.starts_with('/'));
        let found = CLOSED.iter().find(closed);
        assert!(
            found.is_none() || plain == "control/tls/status",
            "{path} is open"
        );
        reading = decoded(&reading);
    }
}

/// Returns a path as the most tolerant parser reads it, without its first slash.
fn normalized(path: &str) -> String {
    let path = path.replace('\\', "/").to_lowercase();
    let path: String = path.chars().filter(|c| !c.is_control()).collect();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let (mut out, mut i) = (Vec::new(), 0);
    while i < bytes.len() {
        let code = path.get(i + 1..i + 3).filter(|_| bytes[i] == b'%');
        match code.and_then(|c| u8::from_str_radix(c, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
