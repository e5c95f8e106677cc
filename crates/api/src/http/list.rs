//! Lists as JSON, as they were written before where nothing has changed.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use control::{ListForm, PeerList};
use domain::{Failure, Message, Timestamp};
use serde::Serialize;
use std::sync::Arc;

/// About as many bytes as an item takes.
const ITEM_BYTES: usize = 400;

/// Writes a list of so many items. Its buffer is made once: `axum::Json` begins with 128 bytes,
/// and one that grows is copied each time.
///
/// # Errors
/// `Internal`.
pub fn json(list: &impl Serialize, items: usize) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::with_capacity((items + 1) * ITEM_BYTES);
    let message = |incident| Message::InternalError { incident };
    serde_json::to_writer(&mut text, list).map_err(|e| control::internal(&e, message))?;
    Ok(text)
}

/// Answers with a tenant's devices in a form, as `write` writes it, unless it was written
/// before: with the time until which it is the same.
///
/// # Errors
/// As [`json`].
pub fn devices(
    list: &PeerList,
    form: ListForm,
    now: Timestamp,
    write: impl FnOnce() -> Result<(Vec<u8>, Timestamp), Failure>,
) -> Result<Response, Failure> {
    let text: Arc<[u8]> = list.written(form, now, write)?;
    Ok(answer(Bytes::from_owner(text)))
}

/// Answers with a text of JSON.
pub fn answer(json: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(json.into()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
