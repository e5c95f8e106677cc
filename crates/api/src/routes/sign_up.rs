//! Becoming a tenant.

use super::{choices::SignUpMode, problems::Problems};
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
    /// 12 to 128 characters that are not easily guessed.
    #[schema(format = Password)]
    password: String,
    /// A plan's id. An invitation for a plan decides instead.
    #[serde(default)]
    #[schema(example = "home")]
    plan: Option<String>,
    /// The code of an invitation, where `GET /v1/sign-up` says that one is needed.
    #[serde(default)]
    #[schema(format = Password)]
    invitation: Option<String>,
    /// A mail address, where the installation sends mail. It gets a link to verify it.
    #[serde(default)]
    #[schema(example = "lina@example.org", max_length = 254)]
    mail: Option<String>,
}

/// Who may sign up.
#[derive(Serialize, ToSchema)]
pub struct SignUpState {
    mode: SignUpMode,
}

/// Who may sign up
#[utoipa::path(
    get,
    path = "/v1/sign-up",
    tag = "sign-up",
    responses((status = 200, body = SignUpState), Problems)
)]
pub async fn get_sign_up(State(state): State<ApiState>) -> Result<Json<SignUpState>, Refusal> {
    let mode = state.control.sign_ups().mode().await?.into();
    Ok(Json(SignUpState { mode }))
}

/// A tenant that was created.
#[derive(Serialize, ToSchema)]
pub struct CreatedTenant {
    name: String,
}

impl CreatedTenant {
    pub(super) const fn new(name: String) -> Self {
        Self { name }
    }
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
        plan: new.plan.unwrap_or_default(),
        invitation: new.invitation.map(Secret::new),
        mail: new.mail.unwrap_or_default(),
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
    client: Client,
    Named(name): Named<String>,
) -> Result<Json<FreeName>, Refusal> {
    let tenants = state.control.tenants();
    let free = tenants.answer_name_check(&name, client.address).await?;
    let name = free.to_string();
    Ok(Json(FreeName { name }))
}
