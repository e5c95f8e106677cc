//! The id of a request: the trace id of W3C Trace Context (www.w3.org/TR/trace-context-1), so
//! that a proxy's trace and our log have the same. A visitor cannot choose it: only a trusted
//! proxy's header is used.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::hash::{BuildHasher, RandomState};

/// The header, in requests and in answers.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where a request belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 hexadecimal digits, which identify the request in the log.
    id: String,
    /// 16 hexadecimal digits, which identify our part of it.
    span: String,
    /// Whether the caller records the trace.
    sampled: bool,
}

/// Returns 16 random hexadecimal digits that are not all 0. They are no secret.
fn random() -> String {
    format!("{:016x}", RandomState::new().hash_one(0).max(1))
}

impl TraceContext {
    /// Returns the context of a request without one.
    pub fn new() -> Self {
        Self {
            id: random() + &random(),
            span: random(),
            sampled: false,
        }
    }

    /// Continues the caller's context; begins a new one where the header is not exactly one
    /// of the form that the specification prescribes.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next().filter(|_| values.next().is_none());
        let parsed = value.and_then(|v| v.to_str().ok()).and_then(Self::parse);
        parsed.unwrap_or_else(Self::new)
    }

    /// Parses `<version>-<trace id>-<parent id>-<flags>`. A later version may have more
    /// behind it (section 3.2.3).
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let mut hex = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            part.bytes().all(is_hex).then_some(part)
        };
        let (version, id, parent, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let more = parts.next();
        let is_zero = |part: &str| part.bytes().all(|c| c == b'0');
        if version == "ff" || (version == "00" && more.is_some()) || is_zero(id) || is_zero(parent)
        {
            return None;
        }
        Some(Self {
            id: id.to_owned(),
            span: random(),
            sampled: u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1),
        })
    }

    /// Returns the request's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the header of the answer.
    pub fn header(&self) -> Option<HeaderValue> {
        let flags = u8::from(self.sampled);
        HeaderValue::from_str(&format!("00-{}-{}-{flags:02x}", self.id, self.span)).ok()
    }
}

impl Default for TraceContext {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    fn of(values: &[&str]) -> TraceContext {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        TraceContext::of(&headers)
    }

    #[test]
    fn a_valid_context_is_continued() {
        for header in [
            format!("00-{ID}-b7ad6b7169203331-01"),
            format!("cc-{ID}-b7ad6b7169203331-01"),
            format!("cc-{ID}-b7ad6b7169203331-01-what-the-future-holds"),
        ] {
            let context = of(&[&header]);
            assert_eq!(context.id(), ID, "{header}");
            let answer = context.header().unwrap();
            let answer = answer.to_str().unwrap();
            assert!(answer.starts_with(&format!("00-{ID}-")) && answer.ends_with("-01"));
            assert!(!answer.contains("b7ad6b7169203331"), "our own span");
        }
        assert!(!of(&[&format!("00-{ID}-b7ad6b7169203331-02")]).sampled);
    }

    #[test]
    fn an_invalid_context_begins_a_new_one() {
        let zeros = "0".repeat(32);
        for header in [
            String::new(),
            "x".to_owned(),
            format!("00-{ID}-b7ad6b7169203331"),
            format!("00-{ID}-b7ad6b7169203331-01-more"),
            format!("ff-{ID}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", ID.to_uppercase()),
            format!("00-{zeros}-b7ad6b7169203331-01"),
            format!("00-{ID}-0000000000000000-01"),
            format!("00-{ID}0-b7ad6b7169203331-01"),
        ] {
            let context = of(&[&header]);
            assert_ne!(context.id(), ID, "{header}");
            assert_eq!(context.id().len(), 32);
        }
        let twice = format!("00-{ID}-b7ad6b7169203331-01");
        assert_ne!(of(&[&twice, &twice]).id(), ID);
        assert_ne!(of(&[]).id(), of(&[]).id());
    }
}
