//! Short-lived cookies of the very host that sets them, which no script can read.
//!
//! A plain form ends with a redirect, and a secret in an address would stay in the
//! browser's history. So a cookie carries what the next page shows once, or what a
//! sign-in is continued with. Over TLS no other host can set it (`__Host-`, RFC
//! 6265bis, 4.1.3.2); without TLS any host below the base could, so a value is never
//! trusted more than what a client sends.

use crate::context::RequestContext;
use axum::http::{HeaderMap, HeaderValue, header};
use leptos::prelude::*;
use leptos_axum::ResponseOptions;

/// A cookie of this host.
#[derive(Clone, Copy, Debug)]
pub struct HostCookie {
    name: &'static str,
    name_tls: &'static str,
    same_site: &'static str,
    /// How long the browser keeps it, in seconds.
    max_age: u32,
}

/// Defines a cookie by its name without the prefix.
macro_rules! host_cookie {
    ($name:literal, $same_site:literal, $max_age:expr) => {
        HostCookie {
            name: $name,
            name_tls: concat!("__Host-", $name),
            same_site: $same_site,
            max_age: $max_age,
        }
    };
}

/// The ticket of a sign-in, on the host that issued it. Not `Strict`: another host of
/// the installation redirects to the page that reads it.
pub const HANDOFF: HostCookie = host_cookie!("mn_handoff", "Lax", 60);
/// The nonce that a ticket is bound to, on the host that the ticket is for.
pub const ARRIVAL: HostCookie = host_cookie!("mn_arrival", "Lax", 120);
/// A sign-in whose password was right and whose second step is missing.
pub const PENDING: HostCookie = host_cookie!("mn_pending", "Lax", 300);
/// The browser that signed in here before: strangers' attempts do not hold it up, and
/// the second step of a sign-in belongs to it. It proves nothing else.
pub const BROWSER: HostCookie = host_cookie!("mn_browser", "Lax", 400 * 86_400);
/// A new machine's join token, for the page that shows it.
pub const JOIN_TOKEN: HostCookie = host_cookie!("mn_join", "Strict", 60);
/// A new invitation's code, for the page that shows its link.
pub const INVITATION: HostCookie = host_cookie!("mn_invitation", "Strict", 60);
/// A new API token, for the page that shows it.
pub const API_TOKEN: HostCookie = host_cookie!("mn_api_token", "Strict", 60);
/// New recovery codes, for the page that shows them. After a sign-up, another host of
/// the installation led to this one.
pub const RECOVERY_CODES: HostCookie = host_cookie!("mn_recovery", "Lax", 600);
/// The token of a link with which a password is reset, on the host of the account. The
/// link may have been opened from another site.
pub const RESET_TOKEN: HostCookie = host_cookie!("mn_reset", "Lax", 900);
/// The token of a link that verifies a mail address, on the host of the account.
pub const MAIL_TOKEN: HostCookie = host_cookie!("mn_mail", "Lax", 900);
/// A new link with which a password is reset, for the page that shows it.
pub const RESET_LINK: HostCookie = host_cookie!("mn_reset_link", "Strict", 60);

/// The token of a link by which an operator chooses a password. The link may have been
/// opened from another site.
pub const WELCOME: HostCookie = host_cookie!("mn_welcome", "Lax", 900);
/// A new operator's name and link, for the page that shows it.
pub const OPERATOR_LINK: HostCookie = host_cookie!("mn_operator_link", "Strict", 60);

impl HostCookie {
    const fn name(self, tls: bool) -> &'static str {
        match tls {
            true => self.name_tls,
            false => self.name,
        }
    }

    /// Returns the header that sets the cookie.
    pub fn header(self, value: &str, tls: bool) -> Option<HeaderValue> {
        self.header_with_age(value, self.max_age, tls)
    }

    /// Returns the header that removes the cookie.
    pub fn removal(self, tls: bool) -> Option<HeaderValue> {
        self.header_with_age("", 0, tls)
    }

    fn header_with_age(self, value: &str, max_age: u32, tls: bool) -> Option<HeaderValue> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        if !value.chars().all(is_plain) {
            return None;
        }
        let secure = if tls { "; Secure" } else { "" };
        let (name, same_site) = (self.name(tls), self.same_site);
        let text = format!(
            "{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={max_age}{secure}"
        );
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns the value that a request brings.
    pub fn read(self, headers: &HeaderMap, tls: bool) -> Option<&str> {
        let name = self.name(tls);
        let all = headers.get_all(header::COOKIE).iter();
        let cookies = all
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(';'));
        let mut values = cookies.filter_map(|c| {
            let (n, value) = c.trim().split_once('=')?;
            (n == name && !value.is_empty()).then_some(value)
        });
        values.next()
    }

    /// Sets the cookie with the answer to the current request. The value has letters,
    /// digits, hyphens, underscores, dots and tildes only.
    pub fn set(self, value: &str) {
        append(self.header(value, is_tls()));
    }

    /// Returns the value that the current request brings.
    pub fn get(self) -> Option<String> {
        let tls = is_tls();
        with_context(|parts: &http::request::Parts| {
            self.read(&parts.headers, tls).map(str::to_owned)
        })
        .flatten()
    }

    /// Returns the value that the current request brings, and removes the cookie.
    pub fn take(self) -> Option<String> {
        let value = self.get()?;
        self.remove();
        Some(value)
    }

    /// Removes the cookie with the answer to the current request.
    pub fn remove(self) {
        append(self.removal(is_tls()));
    }
}

fn is_tls() -> bool {
    RequestContext::with(|c| c.scheme == "https").unwrap_or(true)
}

fn append(header_value: Option<HeaderValue>) {
    if let (Some(response), Some(value)) = (use_context::<ResponseOptions>(), header_value) {
        response.append_header(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_of_this_host_and_short_lived() {
        let value = |tls| JOIN_TOKEN.header("mn1_a_b_c", tls).unwrap();
        assert_eq!(
            value(true),
            "__Host-mn_join=mn1_a_b_c; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        assert_eq!(
            value(false),
            "mn_join=mn1_a_b_c; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"
        );
        assert!(value(true).is_sensitive());
        for evil in ["a\r\nb", "a;b", "a b", "ä"] {
            assert_eq!(JOIN_TOKEN.header(evil, true), None, "{evil}");
        }
        assert!(
            HANDOFF
                .removal(true)
                .unwrap()
                .to_str()
                .unwrap()
                .contains("=; Path")
        );
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        let sent = "a=b; xmn_handoff=1; mn_handoff=; mn_handoff=two; __Host-mn_handoff=three";
        headers.append(header::COOKIE, HeaderValue::from_static(sent));
        assert_eq!(HANDOFF.read(&headers, false), Some("two"));
        assert_eq!(HANDOFF.read(&headers, true), Some("three"));
        assert_eq!(ARRIVAL.read(&headers, false), None);
    }
}
