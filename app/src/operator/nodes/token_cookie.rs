//! The way of a new join token to the page that shows it. A plain form ends with a
//! redirect, and a secret in an address would stay in the browser's history. So a cookie
//! of this host carries it, for a minute and to one page, which removes it.
//!
//! Another host below the base could set a cookie of this name. So it holds the token
//! alone, and never the address that the command connects to.

use crate::context::RequestContext;
use axum::http::{HeaderValue, header};
use leptos::prelude::*;
use leptos_axum::ResponseOptions;

/// How long the browser keeps it.
const MAX_AGE_SECONDS: u32 = 60;

fn is_tls() -> bool {
    RequestContext::with(|c| c.scheme == "https").unwrap_or(true)
}

/// Returns the cookie's name. With the prefix browsers accept it from this host only
/// (RFC 6265bis, 4.1.3.2).
const fn name(tls: bool) -> &'static str {
    match tls {
        true => "__Host-mn_join",
        false => "mn_join",
    }
}

fn header_value(token: &str, max_age: u32, tls: bool) -> Option<HeaderValue> {
    let secure = if tls { "; Secure" } else { "" };
    let text = format!(
        "{}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age}{secure}",
        name(tls)
    );
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn send(token: &str, max_age: u32) {
    let response = use_context::<ResponseOptions>();
    if let (Some(response), Some(value)) = (response, header_value(token, max_age, is_tls())) {
        response.append_header(header::SET_COOKIE, value);
    }
}

/// Sends the token to the browser. It has letters, digits and underscores only.
pub fn set(token: &str) {
    send(token, MAX_AGE_SECONDS);
}

/// Returns the token that the browser brings, and removes it there.
pub fn take() -> Option<String> {
    let prefix = format!("{}=", name(is_tls()));
    let token = with_context(|parts: &http::request::Parts| {
        let headers = parts.headers.get_all(header::COOKIE).iter();
        let cookies = headers
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(';'));
        let mut values = cookies.filter_map(|c| c.trim().strip_prefix(&prefix));
        values.next().map(str::to_owned)
    });
    let token = token.flatten().filter(|token| !token.is_empty())?;
    send("", 0);
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_of_this_host_and_short_lived() {
        let value = |tls| header_value("mn1_a_b_c", 60, tls).unwrap();
        assert_eq!(
            value(true),
            "__Host-mn_join=mn1_a_b_c; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        assert_eq!(
            value(false),
            "mn_join=mn1_a_b_c; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"
        );
        assert!(value(true).is_sensitive());
        assert_eq!(header_value("a\r\nb", 60, true), None);
    }
}
