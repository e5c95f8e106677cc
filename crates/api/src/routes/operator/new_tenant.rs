//! Creates a tenant as an operator, whatever the sign-up mode is.

use crate::{
    http::{body::Body, idempotency::KeyParam, permission::Permission, problem::Refusal},
    routes::{problems::Problems, sign_up::CreatedTenant},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use control::SignUp;
use domain::Secret;
use serde::Deserialize;
use utoipa::ToSchema;

/// A tenant to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantToCreate {
    /// 3 to 32 of the letters a to z, digits and inner hyphens.
    #[schema(example = "lina")]
    name: String,
    /// 12 to 128 characters that are not easily guessed.
    #[schema(format = Password)]
    password: String,
    /// A plan's id, also of one that visitors do not see.
    #[schema(example = "home")]
    plan: String,
}

/// Create a tenant
///
/// The sign-up mode does not matter. Its network is set up within seconds.
#[utoipa::path(
    post,
    path = "/v1/operator/tenants",
    tag = "operator",
    security(("bearer" = [])),
    params(KeyParam),
    request_body = TenantToCreate,
    responses((status = 201, body = CreatedTenant), Problems)
)]
pub async fn operator_create_tenant(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(new): Body<TenantToCreate>,
) -> Result<(StatusCode, Json<CreatedTenant>), Refusal> {
    let operator = permission.support()?;
    let form = SignUp {
        name: new.name,
        password: Secret::new(new.password),
        plan: new.plan,
        invitation: None,
        mail: String::new(),
    };
    let created = state.control.tenants().create(operator, form).await?;
    let created = CreatedTenant::new(created.to_string());
    Ok((StatusCode::CREATED, Json(created)))
}
