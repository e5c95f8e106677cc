//! ETags of what can be changed (RFC 9110, 8.8.3), and the condition that nothing has
//! (13.1.1). An ETag covers what a client can change of an object, not its counters, which
//! change by themselves.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{ErrorCode, Failure, Message};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The bytes of a hash that are an ETag.
const HASH_BYTES: usize = 12;

/// Returns the ETag of what can be changed.
pub fn etag(changeable: &impl Serialize) -> String {
    let json = serde_json::to_vec(changeable).unwrap_or_default();
    let hash = Sha256::digest(json);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash[..HASH_BYTES]))
}

/// Returns the header with an ETag.
pub fn header(etag: &str) -> [(HeaderName, HeaderValue); 1] {
    let value = HeaderValue::from_str(etag);
    [(
        header::ETAG,
        value.unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
    )]
}

/// Returns whether the client named a state that the object must be in.
pub fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH)
}

/// Checks that the object is in a state that the client named, if it named any.
///
/// # Errors
/// `ChangedMeanwhile`.
pub fn check(headers: &HeaderMap, current: &str) -> Result<(), Failure> {
    let mut conditions = headers.get_all(header::IF_MATCH).iter().peekable();
    if conditions.peek().is_none() {
        return Ok(());
    }
    let mut tags = conditions
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim);
    // A weak ETag never matches here (RFC 9110, 13.1.1).
    if tags.any(|tag| tag == "*" || tag == current) {
        return Ok(());
    }
    let code = ErrorCode::ChangedMeanwhile;
    Err(Failure::new(code, Message::ChangedMeanwhile))
}

/// Checks as [`check`], and that the client named a state.
///
/// # Errors
/// `PreconditionNeeded`, `ChangedMeanwhile`.
pub fn demand(headers: &HeaderMap, current: &str) -> Result<(), Failure> {
    if is_conditional(headers) {
        return check(headers, current);
    }
    let code = ErrorCode::PreconditionNeeded;
    Err(Failure::new(code, Message::PreconditionNeeded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(conditions: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for condition in conditions {
            headers.append(header::IF_MATCH, HeaderValue::from_static(condition));
        }
        headers
    }

    #[test]
    fn only_the_named_state_is_changed() {
        let current = etag(&("My phone", true));
        assert_ne!(current, etag(&("My phone", false)));
        assert!(check(&with(&[]), &current).is_ok());
        assert!(check(&with(&["*"]), &current).is_ok());
        assert!(check(&with(&["\"x\", \"y\""]), "\"y\"").is_ok());
        for other in ["\"x\"", "W/\"y\"", "y", ""] {
            let failure = check(&with(&[other]), "\"y\"").unwrap_err();
            assert_eq!(failure.code, ErrorCode::ChangedMeanwhile, "{other}");
        }
        let missing = demand(&with(&[]), &current).unwrap_err();
        assert_eq!(missing.code, ErrorCode::PreconditionNeeded);
    }
}
