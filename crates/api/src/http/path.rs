//! The object that a path names.

use super::problem::Refusal;
use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use domain::Failure;
use std::str::FromStr;

/// The last parameter of a path. Text of another form names nothing: 404.
#[derive(Debug)]
pub struct Named<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let text = parts.extract::<Path<String>>().await.ok();
        let parsed = text.and_then(|Path(text)| text.parse().ok());
        parsed.map(Self).ok_or_else(|| Failure::not_found().into())
    }
}
