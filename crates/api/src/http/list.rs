//! Lists as JSON.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// About as many bytes as an item takes.
const ITEM_BYTES: usize = 400;

/// Answers with a list of so many items. Its buffer is made once: `axum::Json` begins with 128
/// bytes, and one that grows is copied each time.
pub fn json(list: &impl Serialize, items: usize) -> Response {
    let mut body = Vec::with_capacity((items + 1) * ITEM_BYTES);
    match serde_json::to_writer(&mut body, list) {
        Ok(()) => {
            let json = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, json)], body).into_response()
        }
        Err(error) => {
            tracing::error!(?error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
