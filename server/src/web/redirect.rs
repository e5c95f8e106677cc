//! Redirects, and which paths they may lead to.

use super::errors;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::Failure;

/// Returns a redirect that browsers follow with GET and that is not cached.
pub fn see_other(to: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else {
        return errors::failure(&Failure::not_found());
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Returns `path?<fields>`, percent-encoded.
pub fn url_with(path: &str, fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| {
        let value: String = value.bytes().map(escape).collect();
        format!("{name}={value}")
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// Percent-encodes a byte for a query.
fn escape(byte: u8) -> String {
    match byte {
        b if b.is_ascii_alphanumeric() || b"-_.".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    }
}

/// Returns the path if it is one on this host, otherwise `/`. Text that a browser
/// would read as another host (`//x`, `/\x`, or with a tab or line break, which
/// browsers remove) is refused.
pub fn local_path(to: Option<&str>) -> &str {
    let plain = |c: u8| (0x21..0x7f).contains(&c) && !matches!(c, b'\\' | b'"' | b'<' | b'>');
    to.filter(|t| {
        t.starts_with('/') && !t.starts_with("//") && t.len() <= 512 && t.bytes().all(plain)
    })
    .unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_this_host() {
        for path in ["/", "/progress", "/devices/3?x=1&y=%2f", "/a//b"] {
            assert_eq!(local_path(Some(path)), path);
        }
        for path in [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\/evil",
            "https://evil",
            "javascript:x",
            "/\t/evil.example",
            "/\n/evil",
            "/a b",
            "/ä",
            "evil",
            " /",
        ] {
            assert_eq!(local_path(Some(path)), "/", "{path:?}");
        }
        assert_eq!(local_path(None), "/");
    }
}
