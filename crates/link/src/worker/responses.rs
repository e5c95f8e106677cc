//! Queries of the control plane's calls, and answers to them.

use bytes::Bytes;
use domain::{ErrorCode, Message, Problem, Slot, TenantName};
use http::{Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use protocol::wire::MAX_ANSWER_BYTES;
use serde::Serialize;
use std::{convert::Infallible, io};

/// What an answer carries.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Returns what an answer carries.
pub(super) fn body(
    body: impl hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Body {
    body.map_err(|never| match never {}).boxed_unsync()
}

/// Reads `slot` and `name` of a query. Neither needs escapes.
pub(super) fn tenant(uri: &Uri) -> Option<(Slot, TenantName)> {
    let slot = Slot::new(value(uri, "slot")?.parse().ok()?)?;
    Some((slot, TenantName::parse(value(uri, "name")?).ok()?))
}

/// Returns a value of a query.
pub(super) fn value<'a>(uri: &'a Uri, key: &str) -> Option<&'a str> {
    let mut pairs = uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs.find(|(k, _)| *k == key).map(|(_, value)| value)
}

/// Returns an answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(body(Empty::new()));
    *response.status_mut() = status;
    response
}

/// Returns an answer with a problem.
pub(super) fn problem(problem: &Problem) -> Response<Body> {
    let json = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(body(Full::from(json)));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// Returns an answer with a value, or with the problem that there is instead.
pub(super) fn json<T: Serialize>(answer: Result<T, Problem>) -> Response<Body> {
    let damaged = Problem {
        code: ErrorCode::Internal,
        message: Message::WorkerAnswerDamaged,
    };
    let bytes = match answer.map(|value| serde_json::to_vec(&value)) {
        Ok(Ok(bytes)) if bytes.len() <= MAX_ANSWER_BYTES => bytes,
        Ok(Ok(bytes)) => {
            tracing::error!(bytes = bytes.len(), "an answer is too long for the wire");
            return problem(&damaged);
        }
        Ok(Err(e)) => {
            tracing::error!(error = %e, "an answer cannot be written");
            return problem(&damaged);
        }
        Err(e) => return problem(&e),
    };
    let mut response = Response::new(body(Full::from(bytes)));
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
