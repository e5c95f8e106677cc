//! API tokens of one's own.

use super::{choices::Access, problems::Problems, time::Time};
use crate::{
    http::{
        body::Body, idempotency::KeyParam, path::Named, permission::Permission, problem::Refusal,
    },
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use control::NewApiToken;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An API token, without its secret.
#[derive(Serialize, ToSchema)]
pub struct ApiToken {
    id: String,
    name: String,
    access: Access,
    created_at: Time,
    expires_at: Time,
    /// When it was used last, to the minute.
    last_used_at: Option<Time>,
}

impl From<control::ApiToken> for ApiToken {
    fn from(t: control::ApiToken) -> Self {
        Self {
            id: t.id,
            name: t.name,
            access: t.access.into(),
            created_at: t.created_at.into(),
            expires_at: t.expires_at.into(),
            last_used_at: t.used_at.map(Time::from),
        }
    }
}

/// The API tokens of a holder.
#[derive(Serialize, ToSchema)]
pub struct ApiTokenList {
    items: Vec<ApiToken>,
}

/// An API token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What you call it: 1 to 64 visible characters.
    #[schema(example = "status page")]
    name: String,
    access: Access,
    /// For how many days it is valid, 1 to 3,650.
    #[schema(minimum = 1, maximum = 3650, example = 90)]
    days: u32,
}

/// A new API token. The secret is shown this once.
#[derive(Serialize, ToSchema)]
pub struct CreatedApiToken {
    #[serde(flatten)]
    token: ApiToken,
    /// The token itself. It is shown this once.
    secret: String,
}

/// API tokens
///
/// Your own, oldest first, also those that expired in the last 30 days.
#[utoipa::path(
    get,
    path = "/v1/tokens",
    tag = "tokens",
    security(("bearer" = [])),
    responses((status = 200, body = ApiTokenList), Problems)
)]
pub async fn list_tokens(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<ApiTokenList>, Refusal> {
    let tokens = state.control.auth().api_tokens(&permission).await?;
    let items = tokens.into_iter().map(ApiToken::from).collect();
    Ok(Json(ApiTokenList { items }))
}

/// Make an API token
///
/// The secret is in the answer and nowhere else. It works in place of an access token
/// (`Authorization: Bearer mnt_…`), or for one (`POST /v1/auth/token`).
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "tokens",
    security(("bearer" = [])),
    params(KeyParam),
    request_body = NewToken,
    responses((status = 201, body = CreatedApiToken), Problems)
)]
pub async fn create_token(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<CreatedApiToken>), Refusal> {
    let new = NewApiToken {
        name: new.name,
        access: new.access.into(),
        days: new.days,
    };
    let control = &state.control;
    let presence = control.account().presence_for_tokens(&permission).await?;
    let created = control.auth().create_api_token(&permission, new, presence);
    let created = created.await?;
    let location = format!("/v1/tokens/{}", created.token.id);
    let body = CreatedApiToken {
        token: created.token.into(),
        secret: created.secret.expose().to_owned(),
    };
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(body)))
}

/// Delete an API token
///
/// It is refused from the next request on, and so are the access tokens that it was given.
#[utoipa::path(
    delete,
    path = "/v1/tokens/{id}",
    tag = "tokens",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The token's id.")),
    responses((status = 204, description = "It is deleted."), Problems)
)]
pub async fn delete_token(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    let auth = state.control.auth();
    auth.delete_api_token(&permission, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
