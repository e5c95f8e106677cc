//! From the token of a request to its permission, and how many changes are left.

use super::problem::Refusal;
use crate::state::ApiState;
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use control::{ApiPermission, ChangeBudget};
use domain::{ErrorCode, Failure, Message, Secret};

/// draft-ietf-httpapi-ratelimit-headers.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The permission of a request.
pub struct Permission(pub ApiPermission);

impl<S: Sync> FromRequestParts<S> for Permission {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let found = parts.extensions.get::<ApiPermission>().cloned();
        found.map(Self).ok_or_else(|| missing().into())
    }
}

fn missing() -> Failure {
    Failure::new(ErrorCode::SignedOut, Message::TokenMissing)
}

/// Returns the token of a request (RFC 6750, 2.1).
///
/// # Errors
/// `SignedOut` without one.
pub fn token(headers: &HeaderMap) -> Result<Secret, Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().and_then(|v| v.to_str().ok());
    let (scheme, token) = value.and_then(|v| v.split_once(' ')).ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("Bearer") || values.next().is_some() {
        return Err(missing());
    }
    Ok(Secret::new(token.trim()))
}

/// Adds the permission to a request, or refuses it. The answer says how many changes the
/// holder may still make.
pub async fn grant(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let auth = state.control.auth();
    let permission = auth.bearer(&token(request.headers())?).await?;
    request.extensions_mut().insert(permission.clone());
    let mut response = next.run(request).await.into_response();
    if let Some(budget) = auth.changes_left(&permission) {
        add_budget(response.headers_mut(), budget);
    }
    // Whatever it is, it is the holder's alone.
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}

fn add_budget(headers: &mut HeaderMap, budget: ChangeBudget) {
    let ChangeBudget {
        allowed,
        window_secs,
        left,
        reset_secs,
    } = budget;
    let policy = format!("\"changes\";q={allowed};w={window_secs}");
    let limit = format!("\"changes\";r={left};t={reset_secs}");
    for (name, value) in [(POLICY, policy), (LIMIT, limit)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
