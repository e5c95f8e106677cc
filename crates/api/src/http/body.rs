//! The body of a request: JSON of the expected members and no others, of bounded size. Its
//! depth is bounded by `serde_json` (128 levels).

use super::problem::Refusal;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use domain::{ErrorCode, Failure, Message};
use serde::de::DeserializeOwned;

/// The largest body, in bytes. The largest useful one is a sign-up's.
pub const MAX_BODY: usize = 64 * 1024;
/// The longest reason that is repeated to the client, in bytes.
const MAX_REASON: usize = 200;

/// A body of JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            let code = ErrorCode::MediaTypeWrong;
            return Err(Failure::new(code, Message::BodyNotJson).into());
        }
        let bytes = read(request).await?;
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Self).map_err(|e| {
            let mut reason = e.to_string();
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            let message = Message::BodyUnreadable { reason };
            Failure::new(ErrorCode::BadRequest, message).into()
        })
    }
}

/// Reads a body of at most [`MAX_BODY`] bytes.
///
/// # Errors
/// `TooLarge`; `BadRequest` for one that broke off.
pub async fn read(request: Request) -> Result<Bytes, Refusal> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|n| n > MAX_BODY as u64) {
        return Err(too_large());
    }
    let body = axum::body::to_bytes(request.into_body(), MAX_BODY);
    body.await.map_err(|_| too_large())
}

fn too_large() -> Refusal {
    let most = MAX_BODY as u64;
    Failure::new(ErrorCode::TooLarge, Message::BodyTooLarge { most }).into()
}

/// Returns whether a body is called JSON (RFC 8259, 11).
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
