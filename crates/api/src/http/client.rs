//! Who sent a request.

use axum::{extract::FromRequestParts, http::request::Parts};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
};
use texts::Texts;

/// The client of a request. The server adds it to every request.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its address, behind trusted proxies.
    pub address: IpAddr,
    /// The texts in the language that the request prefers.
    pub texts: &'static Texts,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            texts: texts::english(),
        }
    }
}

impl Client {
    /// Returns the client of a request.
    pub(crate) fn of(extensions: &axum::http::Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}
