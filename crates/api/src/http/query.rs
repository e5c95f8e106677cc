//! The query of a request: the expected parameters and no others.

use super::problem::Refusal;
use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use domain::{ErrorCode, Failure, Message};
use serde::de::DeserializeOwned;

/// The longest reason that is repeated to the client, in bytes.
const MAX_REASON: usize = 200;

/// The parameters of a query.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(params)| Self(params)).map_err(|e| {
            let text = e.body_text();
            let mut reason = text.rsplit(": ").next().unwrap_or_default().to_owned();
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            Failure::new(ErrorCode::BadRequest, Message::QueryUnreadable { reason }).into()
        })
    }
}
