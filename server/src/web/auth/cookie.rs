//! Cookies of the very host that sets them: without `Domain`, so that no other host of this
//! installation gets them.

use axum::{
    http::{HeaderValue, header},
    response::Response,
};
use time::Duration;
use tower_sessions::cookie::{Cookie, SameSite};

/// Sets a cookie for all paths of this host, which no script can read. With a `max_age` of
/// zero the browser removes it.
pub fn set(response: &mut Response, name: &str, value: &str, tls: bool, max_age: Duration) {
    let cookie = Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(tls)
        .max_age(max_age)
        .build();
    // A value that no header can have is refused, not sent.
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(value: &str, tls: bool, max_age: Duration) -> Option<String> {
        let mut response = Response::new(axum::body::Body::empty());
        set(&mut response, "name", value, tls, max_age);
        let sent = response.headers().get(header::SET_COOKIE)?;
        Some(sent.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_cookie_has_no_domain_and_all_protections() {
        let minutes = Duration::minutes(10);
        assert_eq!(
            sent("/dns/open", true, minutes).unwrap(),
            "name=/dns/open; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"
        );
        assert_eq!(
            sent("", false, Duration::ZERO).unwrap(),
            "name=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        );
        assert_eq!(sent("a\r\nSet-Cookie: b=c", true, minutes), None);
    }
}
