//! The operators.

use crate::{
    http::{
        body::Body, idempotency::KeyParam, path::Named, permission::Permission, problem::Refusal,
    },
    routes::{choices::Role, problems::Problems, time::Time},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use control::OperatorLink;
use domain::{
    Access, Failure,
    view::{OperatorInvitation, OperatorRow},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An operator.
#[derive(Serialize, ToSchema)]
pub struct Operator {
    name: String,
    role: Role,
    /// Whether it has not chosen a password yet.
    invited: bool,
    created_at: Time,
    /// Until when the invitation is valid; `null` for one who has a password.
    expires_at: Option<Time>,
}

impl From<OperatorRow> for Operator {
    fn from(row: OperatorRow) -> Self {
        Self {
            name: row.name,
            role: row.role.into(),
            invited: false,
            created_at: row.created_at.into(),
            expires_at: None,
        }
    }
}

impl From<OperatorInvitation> for Operator {
    fn from(row: OperatorInvitation) -> Self {
        Self {
            name: row.name,
            role: row.role.into(),
            invited: true,
            created_at: row.created_at.into(),
            expires_at: Some(row.expires_at.into()),
        }
    }
}

/// The operators, and those who are invited.
#[derive(Serialize, ToSchema)]
pub struct OperatorList {
    items: Vec<Operator>,
}

/// A link by which an operator chooses a password. It is shown this once, and works once, for
/// a day.
#[derive(Serialize, ToSchema)]
pub struct PasswordLink {
    #[schema(format = Password)]
    link: String,
    expires_at: Time,
}

impl From<OperatorLink> for PasswordLink {
    fn from(link: OperatorLink) -> Self {
        Self {
            link: link.url.expose().to_owned(),
            expires_at: link.expires_at.into(),
        }
    }
}

/// Operators
#[utoipa::path(
    get,
    path = "/v1/operator/operators",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = OperatorList), Problems)
)]
pub async fn operator_list_operators(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<OperatorList>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let view = state.control.operators().list(operator).await?;
    let invited = view.invitations.into_iter().map(Operator::from);
    let operators = view.operators.into_iter().map(Operator::from);
    let items = operators.chain(invited).collect();
    Ok(Json(OperatorList { items }))
}

/// An operator to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    /// Letters, digits and hyphens.
    #[schema(max_length = 64, example = "ada")]
    name: String,
    role: Role,
}

/// Invite an operator
///
/// The answer has the link by which the operator chooses a password. A former invitation of
/// that name is replaced.
#[utoipa::path(
    post,
    path = "/v1/operator/operators",
    tag = "operator",
    security(("bearer" = [])),
    params(KeyParam),
    request_body = NewOperator,
    responses((status = 201, body = PasswordLink), Problems)
)]
pub async fn operator_invite_operator(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(new): Body<NewOperator>,
) -> Result<(StatusCode, Json<PasswordLink>), Refusal> {
    let owner = permission.owner()?;
    let operators = state.control.operators();
    let link = operators.invite(owner, &new.name, new.role.into()).await?;
    Ok((StatusCode::CREATED, Json(link.into())))
}

/// What is changed of an operator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorChange {
    role: Role,
}

/// Change an operator
///
/// The role is in force with its next request. The last owner stays one.
#[utoipa::path(
    patch,
    path = "/v1/operator/operators/{name}",
    tag = "operator",
    security(("bearer" = [])),
    params(("name" = String, Path, description = "The operator's name.")),
    request_body = OperatorChange,
    responses((status = 200, body = Operator), Problems)
)]
pub async fn operator_change_operator(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(name): Named<String>,
    Body(change): Body<OperatorChange>,
) -> Result<Json<Operator>, Refusal> {
    let owner = permission.owner()?;
    let operators = state.control.operators();
    operators.set_role(owner, &name, change.role.into()).await?;
    let view = operators.list(owner).await?;
    let found = view.operators.into_iter().find(|o| o.name == name.trim());
    let row = found.ok_or_else(Failure::not_found)?;
    Ok(Json(row.into()))
}

/// Remove an operator
///
/// Its sessions and tokens end at once. An invitation is withdrawn. The last owner stays.
#[utoipa::path(
    delete,
    path = "/v1/operator/operators/{name}",
    tag = "operator",
    security(("bearer" = [])),
    params(("name" = String, Path, description = "The operator's name.")),
    responses((status = 204, description = "It is removed."), Problems)
)]
pub async fn operator_remove_operator(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    let owner = permission.owner()?;
    state.control.operators().remove(owner, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a link to a new password does.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    /// Whether the operator loses its second factor, too.
    #[serde(default)]
    without_factors: bool,
}

/// Make a link to a new password
///
/// For an operator who has lost the password. It works once, for a day; until then the former
/// password stays.
#[utoipa::path(
    post,
    path = "/v1/operator/operators/{name}/password-link",
    tag = "operator",
    security(("bearer" = [])),
    params(("name" = String, Path, description = "The operator's name."), KeyParam),
    request_body = PasswordReset,
    responses((status = 201, body = PasswordLink), Problems)
)]
pub async fn operator_reset_operator(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(name): Named<String>,
    Body(reset): Body<PasswordReset>,
) -> Result<(StatusCode, Json<PasswordLink>), Refusal> {
    let owner = permission.owner()?;
    let operators = state.control.operators();
    let link = operators.reset_link(owner, &name, reset.without_factors);
    Ok((StatusCode::CREATED, Json(link.await?.into())))
}
