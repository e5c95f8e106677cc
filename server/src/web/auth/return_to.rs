//! The page to return to after a sign-in. A cookie on the tenant's own host stores
//! it for the minutes that a sign-in takes, so that the sign-in's pages need not
//! pass it on. It is always a path on that host.

use super::cookie;
use crate::web::redirect::local_path;
use axum::{
    http::{HeaderMap, header},
    response::Response,
};
use time::Duration;
use tower_sessions::cookie::Cookie;

/// How long a sign-in may take.
const MAX_AGE: Duration = Duration::minutes(10);

const fn cookie_name(tls: bool) -> &'static str {
    if tls {
        "__Host-mn_return_to"
    } else {
        "mn_return_to"
    }
}

/// Stores a path on this host.
pub fn set(response: &mut Response, tls: bool, path: &'static str) {
    cookie::set(response, cookie_name(tls), path, tls, MAX_AGE);
}

/// Returns the stored path, if there is one.
pub fn get(headers: &HeaderMap, tls: bool) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter();
    let mut cookies = all
        .filter_map(|v| v.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok);
    let stored = cookies.find(|c| c.name() == cookie_name(tls))?;
    Some(local_path(stored.value_raw()))
}

/// Removes the cookie.
pub fn clear(response: &mut Response, tls: bool) {
    cookie::set(response, cookie_name(tls), "", tls, Duration::ZERO);
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

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
