//! From the token of a request to its permission, and how many changes are left.

use super::{
    client::{Client, CommandLine},
    problem::Refusal,
};
use crate::state::ApiState;
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use control::{ApiCaller, ApiPermission, ChangeBudget};
use domain::{Access, ErrorCode, Failure, Message, Secret, TenantScope};
use std::sync::Arc;

/// draft-ietf-httpapi-ratelimit-headers.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Names the tenant for whom an operator acts.
const TENANT: HeaderName = HeaderName::from_static("maliknode-tenant");

/// The permission of a request.
pub struct Permission(pub Arc<ApiPermission>);

impl<S: Sync> FromRequestParts<S> for Permission {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let found = parts.extensions.get::<Arc<ApiPermission>>().cloned();
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

/// Returns the name of the tenant for whom an operator acts, if a request names one.
///
/// # Errors
/// `NotFound` for what is no name, or several.
pub fn tenant(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(TENANT).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let name = value.to_str().ok().filter(|_| values.next().is_none());
    name.map(Some).ok_or_else(Failure::not_found)
}

/// Checks that a permission is still one to read of this tenant.
///
/// # Errors
/// `NotPermitted`, `SecondFactorRequired`; `NotFound` for a permission for another tenant, which
/// has the name now.
pub fn reads(permission: &ApiPermission, tenant: &TenantScope) -> Result<(), Failure> {
    match permission.tenant(Access::Read)?.tenant() == tenant.tenant() {
        true => Ok(()),
        false => Err(Failure::not_found()),
    }
}

/// Adds the permission to a request, or refuses it. The answer says how many changes the
/// holder may still make.
pub async fn grant(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let auth = state.control.auth();
    // A token counts at the command line, too: then its holder acts, in its own account.
    let has_token = request.headers().contains_key(header::AUTHORIZATION);
    let permission = match request.extensions().get::<CommandLine>() {
        Some(line) if !has_token => auth.command_line_request(line.user.as_deref()),
        _ => {
            let token = token(request.headers())?;
            match request.method().is_safe() {
                true => auth.bearer_to_read(&token).await?,
                false => auth.bearer(&token).await?,
            }
        }
    };
    if !matches!(permission.caller(), ApiCaller::Tenant(_)) {
        Client::of(request.extensions()).allow_operator()?;
    }
    let permission = match tenant(request.headers())? {
        Some(tenant) => auth.acting_for(permission, tenant).await?,
        None => permission,
    };
    let is_here = request.extensions().get::<CommandLine>().is_some();
    let permission = match request.extensions().get::<Client>() {
        Some(client) if !is_here => permission.with_origin(client.address),
        _ => permission,
    };
    let permission = Arc::new(permission);
    request.extensions_mut().insert(permission.clone());
    let mut response = next.run(request).await.into_response();
    if let ApiCaller::Tenant(scope) = permission.caller() {
        // For the server's log.
        response.extensions_mut().insert(scope.tenant());
    }
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

/// Lets operators pass alone, whose token may read at least.
pub async fn require_operator(
    Permission(permission): Permission,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    permission.operator(Access::Read)?;
    Ok(next.run(request).await)
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
