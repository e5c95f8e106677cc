//! The page to return to after a sign-in. A cookie on the tenant's own host stores
//! it for the minutes that a sign-in takes, so that the sign-in's pages need not
//! pass it on. It is always a path on that host.

use crate::web::redirect::local_path;
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

/// How long a sign-in may take, in seconds.
const MAX_AGE: u32 = 600;

const fn cookie_name(tls: bool) -> &'static str {
    if tls {
        "__Host-mn_return_to"
    } else {
        "mn_return_to"
    }
}

fn set_cookie(response: &mut Response, tls: bool, path: &str, max_age: u32) {
    let secure = if tls { "; Secure" } else { "" };
    let text = format!(
        "{}={path}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}",
        cookie_name(tls)
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Stores a path on this host.
pub fn set(response: &mut Response, tls: bool, path: &'static str) {
    set_cookie(response, tls, path, MAX_AGE);
}

/// Returns the stored path, if there is one.
pub fn get(headers: &HeaderMap, tls: bool) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter();
    let mut pairs = all
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, path) = pairs.find(|(n, _)| *n == cookie_name(tls))?;
    Some(local_path(Some(path)))
}

/// Removes the cookie.
pub fn clear(response: &mut Response, tls: bool) {
    set_cookie(response, tls, "", 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_on_this_host_is_returned() {
        let stored = |cookie: &'static str, tls| {
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::from_static(cookie));
            get(&headers, tls).map(str::to_owned)
        };
        let path = Some("/dns/open".to_owned());
        assert_eq!(stored("a=b; mn_return_to=/dns/open", false), path);
        assert_eq!(stored("__Host-mn_return_to=/dns/open; a=b", true), path);
        assert_eq!(stored("mn_return_to=/dns/open", true), None);
        assert_eq!(stored("mn_session=x", false), None);
        for evil in [
            "mn_return_to=//evil.example",
            "mn_return_to=https://evil.example",
        ] {
            assert_eq!(stored(evil, false).as_deref(), Some("/"));
        }
    }
}
