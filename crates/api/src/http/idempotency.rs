//! Requests that create something may carry an `Idempotency-Key`: sent again with the same
//! key, they create nothing more and get the first answer.

use super::{body, problem::Refusal};
use crate::state::ApiState;
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use control::{ApiPermission, Repeat};
use domain::{ErrorCode, Failure, Message};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use utoipa::IntoParams;

/// The key of a request that may be repeated.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "it describes a header; `key` reads it")]
pub struct KeyParam {
    /// Sent again with the same key, the request creates nothing more.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        required = false
    )]
    key: Option<String>,
}

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is one that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The headers of an answer that are given again.
const REPEATED: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];
/// The largest answer that is stored, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// An answer as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Gives the first answer again to a POST whose key is known, and stores the answer of one
/// whose key is new.
pub async fn answer_again(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let key = key(&parts.headers)?.to_owned();
    let bytes = body::read(Request::from_parts(parts.clone(), body)).await?;
    // Only operations with a token are here: a sign-up's key is the name.
    let permission = parts.extensions.get::<Arc<ApiPermission>>();
    let sender = permission.map(|p| p.subject()).unwrap_or_default();
    let claimed = state
        .control
        .answers()
        .claim(&sender, &key, &hash(&parts, &bytes))
        .await?;
    let key = match claimed {
        Repeat::Answered(answer) => return again(&answer),
        Repeat::New(key) => key,
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    // In a task of its own: a client that goes away leaves nothing half done, and finds the
    // answer when it comes back.
    let work = tokio::spawn(async move {
        let answers = state.control.answers();
        let response = next.run(request).await;
        if !response.status().is_success() {
            answers.forget(key).await;
            return response;
        }
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, MAX_ANSWER).await;
        let bytes = bytes.unwrap_or_default();
        let stored = StoredAnswer {
            status: parts.status.as_u16(),
            headers: repeated(&parts.headers),
            body: STANDARD.encode(&bytes),
        };
        let json = zeroize::Zeroizing::new(serde_json::to_vec(&stored).unwrap_or_default());
        answers.store(key, &json).await;
        Response::from_parts(parts, Body::from(bytes))
    });
    work.await.map_err(|e| {
        let message = |incident| Message::InternalError { incident };
        control::internal(&e, message).into()
    })
}

fn key(headers: &HeaderMap) -> Result<&str, Failure> {
    let mut keys = headers.get_all(KEY).iter();
    let key = keys.next().and_then(|v| v.to_str().ok());
    let malformed = || {
        let message = Message::IdempotencyKeyMalformed { most: 255 };
        Failure::new(ErrorCode::BadRequest, message)
    };
    key.filter(|_| keys.next().is_none()).ok_or_else(malformed)
}

/// Returns the hash of what is asked for.
fn hash(parts: &Parts, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    let path = parts.uri.path_and_query().map_or("", |p| p.as_str());
    for part in [parts.method.as_str().as_bytes(), path.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    STANDARD.encode(hash.finalize())
}

fn repeated(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |name: &HeaderName| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    REPEATED.iter().filter_map(text).collect()
}

/// Gives a stored answer.
fn again(answer: &[u8]) -> Result<Response, Refusal> {
    let read = || {
        let stored: StoredAnswer = serde_json::from_slice(answer).ok()?;
        let status = StatusCode::from_u16(stored.status).ok()?;
        let mut response = (status, STANDARD.decode(stored.body).ok()?).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        for (name, value) in stored.headers {
            let name = HeaderName::try_from(name).ok()?;
            headers.insert(name, HeaderValue::try_from(value).ok()?);
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        Some(response)
    };
    let unreadable = || Failure::new(ErrorCode::Internal, Message::Unexpected).into();
    read().ok_or_else(unreadable)
}
