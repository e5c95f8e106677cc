//! Links to a new password for tenants who have lost theirs.

use crate::{
    http::{body::Body, path::Named, permission::Permission, problem::Refusal},
    routes::{problems::Problems, time::Time},
    state::ApiState,
};
use axum::{Json, extract::State};
use domain::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A link to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewResetLink {
    /// Whether it takes the second factors away as well.
    #[serde(default)]
    without_factors: bool,
}

/// A link to a new password. It is shown this once.
#[derive(Serialize, ToSchema)]
pub struct ResetLink {
    name: String,
    /// The address to give away, with the token.
    #[schema(example = "https://lina.example.org/reset?token=…")]
    link: String,
    /// The path in it, on the tenant's own host.
    path: String,
    /// The token in it.
    token: String,
    expires_at: Time,
}

/// Make a link to a new password
///
/// It works once, for an hour, in place of a former one. Give it to the tenant.
#[utoipa::path(
    post,
    path = "/v1/operator/tenants/{id}/reset-link",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The tenant's id.")),
    request_body = NewResetLink,
    responses((status = 200, body = ResetLink), Problems)
)]
pub async fn operator_reset_link(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<TenantId>,
    Body(new): Body<NewResetLink>,
) -> Result<Json<ResetLink>, Refusal> {
    let support = permission.support()?;
    let tenant = state.control.auth().operator_tenant(support, id);
    let tenant = tenant.await?;
    let account = state.control.account();
    let link = account.tenant_reset_link(support, &tenant, new.without_factors);
    let link = link.await?;
    Ok(Json(ResetLink {
        link: link.url.expose().to_owned(),
        path: format!("/reset?token={}", link.token.expose()),
        token: link.token.expose().to_owned(),
        name: link.name,
        expires_at: link.expires_at.into(),
    }))
}
