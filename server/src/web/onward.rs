//! Where somebody was going who has to sign in first. A cookie of the tenant's
//! own host remembers it for the minutes that takes, so that the sign-in's
//! pages need not hand it on. It is a path on that host and nothing else.

use crate::web::arrive::path_here;
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

/// How long a sign-in may take, seconds.
const MAX_AGE: u32 = 600;

const fn name(tls: bool) -> &'static str {
    if tls { "__Host-mn_onward" } else { "mn_onward" }
}

fn set(response: &mut Response, tls: bool, path: &str, max_age: u32) {
    let secure = if tls { "; Secure" } else { "" };
    let text = format!(
        "{}={path}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}",
        name(tls)
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Remembers a path of this host.
pub fn remember(response: &mut Response, tls: bool, path: &'static str) {
    set(response, tls, path, MAX_AGE);
}

/// The path that was remembered, if there is one.
pub fn remembered(headers: &HeaderMap, tls: bool) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter();
    let mut pairs = all
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, path) = pairs.find(|(n, _)| *n == name(tls))?;
    Some(path_here(Some(path)))
}

/// Forgets it.
pub fn forget(response: &mut Response, tls: bool) {
    set(response, tls, "", 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_host_is_remembered() {
        let kept = |cookie: &'static str, tls| {
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::from_static(cookie));
            remembered(&headers, tls).map(str::to_owned)
        };
        let there = Some("/dns/open".to_owned());
        assert_eq!(kept("a=b; mn_onward=/dns/open", false), there);
        assert_eq!(kept("__Host-mn_onward=/dns/open; a=b", true), there);
        assert_eq!(kept("mn_onward=/dns/open", true), None);
        assert_eq!(kept("mn_session=x", false), None);
        for evil in ["mn_onward=//evil.example", "mn_onward=https://evil.example"] {
            assert_eq!(kept(evil, false).as_deref(), Some("/"));
        }
    }
}
