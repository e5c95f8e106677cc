//! Who may sign up, and reserved names.

use crate::{
    http::{body::Body, path::Named, permission::Permission, problem::Refusal},
    routes::{choices::SignUpMode, problems::Problems, time::Time},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{Access, view};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who may sign up, and where that is set.
#[derive(Serialize, ToSchema)]
pub struct SignUpSetting {
    /// What holds.
    mode: SignUpMode,
    /// What the configuration says.
    configured: SignUpMode,
    /// Whether an operator has set the mode, so that the configuration does not count.
    set: bool,
}

impl From<control::SignUpSetting> for SignUpSetting {
    fn from(s: control::SignUpSetting) -> Self {
        Self {
            mode: s.mode.into(),
            configured: s.configured.into(),
            set: s.is_set,
        }
    }
}

/// What is to hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignUpChange {
    /// `null` leaves it to the configuration.
    mode: Option<SignUpMode>,
}

/// Who may sign up
#[utoipa::path(
    get,
    path = "/v1/operator/sign-up",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = SignUpSetting), Problems)
)]
pub async fn operator_get_sign_up(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<SignUpSetting>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let setting = state.control.sign_ups().setting(operator).await?;
    Ok(Json(setting.into()))
}

/// Change who may sign up
///
/// It holds on every control plane with the next request.
#[utoipa::path(
    put,
    path = "/v1/operator/sign-up",
    tag = "operator",
    security(("bearer" = [])),
    request_body = SignUpChange,
    responses((status = 200, body = SignUpSetting), Problems)
)]
pub async fn operator_set_sign_up(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(change): Body<SignUpChange>,
) -> Result<Json<SignUpSetting>, Refusal> {
    let operator = permission.owner()?;
    let sign_ups = state.control.sign_ups();
    sign_ups
        .set_mode(operator, change.mode.map(Into::into))
        .await?;
    let setting = sign_ups.setting(operator).await?;
    Ok(Json(setting.into()))
}

/// A name that an operator has reserved.
#[derive(Serialize, ToSchema)]
pub struct ReservedName {
    name: String,
    added_by: String,
    added_at: Time,
}

impl From<view::ReservedName> for ReservedName {
    fn from(r: view::ReservedName) -> Self {
        Self {
            name: r.name,
            added_by: r.added_by,
            added_at: r.added_at.into(),
        }
    }
}

/// The reserved names.
#[derive(Serialize, ToSchema)]
pub struct ReservedNames {
    items: Vec<ReservedName>,
}

/// Reserved names
///
/// Those that operators have added, in alphabetical order. Those of the program are not among
/// them.
#[utoipa::path(
    get,
    path = "/v1/operator/reserved-names",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = ReservedNames), Problems)
)]
pub async fn operator_list_reserved_names(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<ReservedNames>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let names = state.control.sign_ups().reserved(operator).await?;
    let items = names.into_iter().map(ReservedName::from).collect();
    Ok(Json(ReservedNames { items }))
}

/// Names to reserve.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamesToReserve {
    #[schema(example = json!(["intranet", "shop"]))]
    names: Vec<String>,
}

/// What became of them.
#[derive(Serialize, ToSchema)]
pub struct NamesReserved {
    /// How many were not reserved before.
    added: u32,
}

/// Reserve names
///
/// No further tenant signs up with one of them; a tenant that has one keeps it. Either all are
/// reserved or none.
#[utoipa::path(
    post,
    path = "/v1/operator/reserved-names",
    tag = "operator",
    security(("bearer" = [])),
    request_body = NamesToReserve,
    responses((status = 200, body = NamesReserved), Problems)
)]
pub async fn operator_reserve_names(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(new): Body<NamesToReserve>,
) -> Result<Json<NamesReserved>, Refusal> {
    let operator = permission.owner()?;
    let added = state
        .control
        .sign_ups()
        .reserve(operator, &new.names)
        .await?;
    Ok(Json(NamesReserved { added }))
}

/// Release a reserved name
#[utoipa::path(
    delete,
    path = "/v1/operator/reserved-names/{name}",
    tag = "operator",
    security(("bearer" = [])),
    params(("name" = String, Path, description = "The name.")),
    responses((status = 204, description = "It is not reserved any more."), Problems)
)]
pub async fn operator_release_name(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    let operator = permission.owner()?;
    state.control.sign_ups().release(operator, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
