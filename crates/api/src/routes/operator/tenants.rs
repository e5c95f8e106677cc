//! The tenants.

use crate::{
    http::{
        body::Body,
        cursor::{self, Page, PageParams},
        etag,
        path::Named,
        permission::Permission,
        problem::Refusal,
        query::Params,
    },
    routes::{account::Data, problems::Problems, time::Time},
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use domain::{
    Access, ErrorCode, Failure, Field, Message, OperatorScope, TenantId, view::TenantRow,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The list's name in cursors.
const LIST: &str = "tenants";

/// A tenant.
#[derive(Serialize, ToSchema)]
pub struct Tenant {
    id: i64,
    name: String,
    /// The plan's id.
    plan: String,
    suspended: bool,
    /// Whether everything of it works.
    ready: bool,
    /// The code of what is wrong.
    problem: Option<String>,
    /// The name of its node; `null` where there is only one.
    node: Option<String>,
    slot: u16,
    subnet: String,
    devices: u32,
    /// The number of connected devices.
    online: u32,
    created_at: Time,
    data: Data,
}

fn is_suspended(t: &TenantRow) -> bool {
    t.status
        .problem()
        .is_some_and(|p| p.code == ErrorCode::Suspended)
}

impl From<TenantRow> for Tenant {
    fn from(t: TenantRow) -> Self {
        Self {
            suspended: is_suspended(&t),
            ready: t.status.is_ready(),
            problem: t.status.problem().map(|p| p.code.to_string()),
            id: t.id.0,
            name: t.name,
            plan: t.plan_id,
            node: t.node,
            slot: t.slot,
            subnet: t.subnet,
            devices: t.devices,
            online: t.online,
            created_at: t.created_at.into(),
            data: t.data.into(),
        }
    }
}

type Tagged = ([(HeaderName, HeaderValue); 1], Json<Tenant>);

/// Returns the ETag of what can be changed of a tenant.
fn tag(t: &TenantRow) -> String {
    etag::etag(&(t.id.0, &t.plan_id, is_suspended(t)))
}

async fn find(
    state: &ApiState,
    operator: &OperatorScope,
    id: TenantId,
) -> Result<TenantRow, Failure> {
    let view = state.control.operators().overview(operator).await?;
    let found = view.tenants.into_iter().find(|t| t.id == id);
    found.ok_or_else(Failure::not_found)
}

/// Tenants
#[utoipa::path(
    get,
    path = "/v1/operator/tenants",
    tag = "operator",
    security(("bearer" = [])),
    params(PageParams),
    responses((status = 200, body = Page<Tenant>), Problems)
)]
pub async fn operator_list_tenants(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Tenant>>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let limit = cursor::limit(params.limit)?;
    let after = cursor::parse(LIST, params.cursor.as_deref())?;
    let view = state.control.operators().overview(operator).await?;
    let mut rest = view.tenants;
    rest.retain(|t| after.is_none_or(|after| t.id.0 > after));
    rest.sort_by_key(|t| t.id);
    let page = cursor::page(LIST, rest, limit, |t| t.id.0, Tenant::from);
    Ok(Json(page))
}

/// A tenant
///
/// The ETag covers what can be changed: the plan and whether it is suspended.
#[utoipa::path(
    get,
    path = "/v1/operator/tenants/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The tenant's id.")),
    responses((status = 200, body = Tenant, headers(("ETag" = String))), Problems)
)]
pub async fn operator_get_tenant(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<TenantId>,
) -> Result<Tagged, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let tenant = find(&state, operator, id).await?;
    Ok((etag::header(&tag(&tenant)), Json(tenant.into())))
}

/// What is changed of a tenant. What is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// A plan's id, also of one that visitors do not see.
    plan: Option<String>,
    /// Suspended, nothing of it runs and nothing is lost.
    suspended: Option<bool>,
}

/// Change a tenant
///
/// Answers 202 where the change is saved and not yet in force.
#[utoipa::path(
    patch,
    path = "/v1/operator/tenants/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(
        ("id" = i64, Path, description = "The tenant's id."),
        ("If-Match" = Option<String>, Header, description = "The ETag that you read.")
    ),
    request_body = TenantChange,
    responses(
        (status = 200, body = Tenant, headers(("ETag" = String))),
        (status = 202, description = "Saved, and soon in force.", body = Tenant, headers(("ETag" = String))),
        Problems
    )
)]
pub async fn operator_change_tenant(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<TenantId>,
    headers: HeaderMap,
    Body(change): Body<TenantChange>,
) -> Result<(StatusCode, Tagged), Refusal> {
    let operator = permission.operator(Access::Write)?;
    if etag::is_conditional(&headers) {
        etag::check(&headers, &tag(&find(&state, operator, id).await?))?;
    }
    let control = &state.control;
    let scope = control.auth().operator_tenant(operator, id).await?;
    let mut is_in_force = true;
    if let Some(plan) = change.plan {
        is_in_force &= control.tenants().set_plan(operator, &scope, &plan).await?;
    }
    if let Some(suspended) = change.suspended {
        is_in_force &= control.tenants().set_suspended(&scope, suspended).await?;
    }
    let tenant = find(&state, operator, id).await?;
    let status = match is_in_force {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let tag = etag::header(&tag(&tenant));
    Ok((status, (tag, Json(tenant.into()))))
}

/// What confirms that a tenant is deleted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TenantConfirmation {
    /// The tenant's name, which confirms it.
    name: String,
}

/// Delete a tenant
///
/// With everything that belongs to it. Answers 202 where it is deleted and not yet cut off.
#[utoipa::path(
    delete,
    path = "/v1/operator/tenants/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The tenant's id."), TenantConfirmation),
    responses(
        (status = 204, description = "It is deleted and cut off."),
        (status = 202, description = "It is deleted, and soon cut off."),
        Problems
    )
)]
pub async fn operator_delete_tenant(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<TenantId>,
    Params(confirmation): Params<TenantConfirmation>,
) -> Result<StatusCode, Refusal> {
    let operator = permission.operator(Access::Write)?;
    let scope = state.control.auth().operator_tenant(operator, id).await?;
    if confirmation.name.trim().to_ascii_lowercase() != scope.name().as_str() {
        let name = scope.name().to_string();
        let message = Message::AccountNameWrong { name };
        return Err(Failure::at(Field::Name, ErrorCode::NameMalformed, message).into());
    }
    match state.control.tenants().delete(&scope).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Ok(StatusCode::ACCEPTED),
    }
}
