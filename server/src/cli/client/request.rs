//! What is asked of the API, and what comes back.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// The largest answer that is read, in bytes.
pub(super) const MAX_ANSWER: usize = 64 << 20;

/// What is asked of the API.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub method: Method,
    /// From `/v1` on.
    pub path: String,
    /// Without the question mark.
    pub query: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// JSON.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// Returns path and query.
    pub fn target(&self) -> String {
        match self.query.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, self.query),
        }
    }
}

/// An answer as it came.
pub(super) type Raw = (StatusCode, HeaderMap, Vec<u8>);
