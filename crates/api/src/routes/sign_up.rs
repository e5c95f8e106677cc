//! Becoming a tenant.

use super::problems::Problems;
use crate::{
    http::{body::Body, client::Client, path::Named, problem::Refusal},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use control::SignUp;
use domain::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A tenant to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// 3 to 32 of the letters a to z, digits and inner hyphens.
    #[schema(example = "lina")]
    name: String,
    /// At least 10 characters that are not easily guessed.
    #[schema(format = Password)]
    password: String,
    /// A plan's id.
    #[schema(example = "home")]
    plan: String,
}

/// A tenant that was created.
#[derive(Serialize, ToSchema)]
pub struct CreatedTenant {
    name: String,
}

/// Sign up
///
/// Creates a tenant. Its network is set up within seconds; `GET /v1/account` says when it is
/// ready. Sent again, it is refused as `name_taken`, and the password signs in.
#[utoipa::path(
    post,
    path = "/v1/tenants",
    tag = "sign-up",
    request_body = NewTenant,
    responses((status = 201, body = CreatedTenant), Problems)
)]
pub async fn sign_up(
    State(state): State<ApiState>,
    client: Client,
    Body(new): Body<NewTenant>,
) -> Result<(StatusCode, Json<CreatedTenant>), Refusal> {
    let form = SignUp {
        name: new.name,
        password: Secret::new(new.password),
        plan: new.plan,
    };
    let ticket = state.control.tenants().sign_up(form, client.address);
    let name = ticket.await?.name.to_string();
    Ok((StatusCode::CREATED, Json(CreatedTenant { name })))
}

/// A name that is free.
#[derive(Serialize, ToSchema)]
pub struct FreeName {
    /// The name as it would be.
    name: String,
}

/// Check a name
///
/// Answers 200 for a name that is free now, and says what is wrong with any other.
#[utoipa::path(
    get,
    path = "/v1/names/{name}",
    tag = "sign-up",
    params(("name" = String, Path, description = "The wanted name.")),
    responses((status = 200, body = FreeName), Problems)
)]
pub async fn check_name(
    State(state): State<ApiState>,
    Named(name): Named<String>,
) -> Result<Json<FreeName>, Refusal> {
    let free = state.control.tenants().check_name(&name).await?;
    let name = free.to_string();
    Ok(Json(FreeName { name }))
}
