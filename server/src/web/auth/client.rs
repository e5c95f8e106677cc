//! What a request says of the client that signs in.

use crate::web::hosts::RequestInfo;
use app::cookies::BROWSER;
use axum::http::{HeaderMap, header};
use control::SignInClient;
use domain::Secret;

/// Returns the client of a request.
pub fn sign_in_client(info: &RequestInfo, headers: &HeaderMap) -> SignInClient {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|v| v.to_str().ok()).unwrap_or_default();
    SignInClient {
        address: info.client,
        browser: BROWSER
            .read(headers, info.scheme == "https")
            .map(Secret::new),
        agent: agent.to_owned(),
        stays: false,
    }
}
