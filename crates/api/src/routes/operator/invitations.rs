//! Invitations: permissions to sign up.

use crate::{
    http::{
        body::Body,
        cursor::{self, Page, PageParams},
        path::Named,
        permission::Permission,
        problem::Refusal,
        query::Params,
    },
    routes::{choices::InvitationState, problems::Problems, time::Time},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{Access, InvitationId, InvitationTerms};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The list's name in cursors.
const LIST: &str = "invitations";

/// An invitation.
#[derive(Serialize, ToSchema)]
pub struct Invitation {
    id: i64,
    state: InvitationState,
    /// The plan's id; `null` where the visitor chooses a visible one.
    plan: Option<String>,
    /// How many tenants may sign up with it.
    uses: u32,
    /// How many have.
    used: u32,
    note: String,
    created_by: String,
    created_at: Time,
    expires_at: Time,
}

impl From<domain::Invitation> for Invitation {
    fn from(i: domain::Invitation) -> Self {
        Self {
            id: i.id.0,
            state: i.state.into(),
            plan: i.plan,
            uses: i.uses,
            used: i.used,
            note: i.note,
            created_by: i.created_by,
            created_at: i.created_at.into(),
            expires_at: i.expires_at.into(),
        }
    }
}

/// Invitations to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitations {
    /// A plan's id, which may be a hidden plan; without it, the visitor chooses a visible one.
    #[serde(default)]
    plan: Option<String>,
    /// How many tenants may sign up with each, 1 to 10,000.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10_000, default = 1)]
    uses: u32,
    /// For how many hours they are valid, 1 to 8,760.
    #[serde(default = "week")]
    #[schema(minimum = 1, maximum = 8_760, default = 168)]
    hours: u32,
    /// For the operators, at most 200 characters.
    #[serde(default)]
    #[schema(max_length = 200)]
    note: String,
    /// How many invitations to make, 1 to 1,000.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1_000, default = 1)]
    count: u32,
}

const fn one() -> u32 {
    1
}

const fn week() -> u32 {
    7 * 24
}

/// An invitation that was just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedInvitation {
    id: i64,
    /// What a visitor signs up with. It is shown only now.
    #[schema(format = Password)]
    code: String,
    /// The page to sign up with it.
    #[schema(format = Password)]
    link: String,
}

/// The invitations that were just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedInvitations {
    items: Vec<CreatedInvitation>,
}

/// Invitations
///
/// The newest first.
#[utoipa::path(
    get,
    path = "/v1/operator/invitations",
    tag = "operator",
    security(("bearer" = [])),
    params(PageParams),
    responses((status = 200, body = Page<Invitation>), Problems)
)]
pub async fn operator_list_invitations(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Invitation>>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let limit = cursor::limit(params.limit)?;
    let before = cursor::parse(LIST, params.cursor.as_deref())?;
    let rows = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let sign_ups = state.control.sign_ups();
    let listed = sign_ups.list(operator, before.unwrap_or(i64::MAX), rows);
    let page = cursor::page(LIST, listed.await?, limit, |i| i.id.0, Invitation::from);
    Ok(Json(page))
}

/// Make invitations
///
/// Their codes are shown only now.
#[utoipa::path(
    post,
    path = "/v1/operator/invitations",
    tag = "operator",
    security(("bearer" = [])),
    request_body = NewInvitations,
    responses((status = 201, body = CreatedInvitations), Problems)
)]
pub async fn operator_create_invitations(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(new): Body<NewInvitations>,
) -> Result<(StatusCode, Json<CreatedInvitations>), Refusal> {
    let operator = permission.support()?;
    let terms = InvitationTerms {
        plan: new.plan,
        uses: new.uses,
        hours: new.hours,
        note: new.note,
    };
    let sign_ups = state.control.sign_ups();
    let made = sign_ups.create(operator, &terms, new.count).await?;
    let shown = |i: control::MadeInvitation| CreatedInvitation {
        id: i.id.0,
        code: i.code.expose().to_owned(),
        link: i.link.expose().to_owned(),
    };
    let items = made.into_iter().map(shown).collect();
    Ok((StatusCode::CREATED, Json(CreatedInvitations { items })))
}

/// Revoke an invitation
///
/// No further tenant signs up with it. Those that have stay.
#[utoipa::path(
    post,
    path = "/v1/operator/invitations/{id}/revoke",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The invitation's id.")),
    responses((status = 200, body = Invitation), Problems)
)]
pub async fn operator_revoke_invitation(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<InvitationId>,
) -> Result<Json<Invitation>, Refusal> {
    let operator = permission.support()?;
    let revoked = state.control.sign_ups().revoke(operator, id).await?;
    Ok(Json(revoked.into()))
}
