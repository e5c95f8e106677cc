//! The tenants.

use crate::{
    http::{
        body::Body,
        cursor::{self, Page},
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
use control::{TenantTerms, TermsChange};
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
    /// Since when it sleeps, because no device has connected yet: its DNS filter is stopped.
    asleep_since: Option<Time>,
    /// The id of the invitation that it signed up with.
    invitation: Option<i64>,
    /// Whether everything of it works.
    ready: bool,
    /// The code of what is wrong.
    problem: Option<String>,
    /// The name of its node; `null` where there is only one.
    node: Option<String>,
    slot: u16,
    subnet: String,
    /// The address of its DNS container.
    dns_address: String,
    /// The public key of its tunnel, in base64.
    public_key: String,
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
            asleep_since: t.asleep_since.map(Time::from),
            invitation: t.invitation.map(|id| id.0),
            ready: t.status.is_ready(),
            problem: t.status.problem().map(|p| p.code.to_string()),
            id: t.id.0,
            name: t.name,
            plan: t.plan_id,
            node: t.node,
            slot: t.slot,
            subnet: t.subnet,
            dns_address: t.dns_address,
            public_key: t.public_key,
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

/// Which tenants.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TenantParams {
    /// `next` of the page before; without it, the first page.
    cursor: Option<String>,
    /// The most items of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// Only the tenant of this name.
    name: Option<String>,
}

/// Tenants
#[utoipa::path(
    get,
    path = "/v1/operator/tenants",
    tag = "operator",
    security(("bearer" = [])),
    params(TenantParams),
    responses((status = 200, body = Page<Tenant>), Problems)
)]
pub async fn operator_list_tenants(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<TenantParams>,
) -> Result<Json<Page<Tenant>>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let limit = cursor::limit(params.limit)?;
    let after = cursor::parse(LIST, params.cursor.as_deref())?;
    let view = state.control.operators().overview(operator).await?;
    let mut rest = view.tenants;
    rest.retain(|t| after.is_none_or(|after| t.id.0 > after));
    let name = params.name.map(|name| name.trim().to_ascii_lowercase());
    rest.retain(|t| name.as_ref().is_none_or(|name| t.name == *name));
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
    let operator = permission.support()?;
    let mut expected = None;
    if etag::is_conditional(&headers) {
        let now = find(&state, operator, id).await?;
        etag::check(&headers, &tag(&now))?;
        // Compared once more in the transaction of the change.
        expected = Some(TenantTerms {
            suspended: is_suspended(&now),
            plan: now.plan_id,
        });
    }
    let control = &state.control;
    let scope = control.auth().operator_tenant(operator, id).await?;
    let change = TermsChange {
        plan: change.plan,
        suspended: change.suspended,
    };
    let tenants = control.tenants();
    let is_in_force = tenants
        .change_if(operator, &scope, change, expected.as_ref())
        .await?;
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
    let operator = permission.owner()?;
    let scope = state.control.auth().operator_tenant(operator, id).await?;
    if confirmation.name.trim().to_ascii_lowercase() != scope.name().as_str() {
        let name = scope.name().to_string();
        let message = Message::AccountNameWrong { name };
        return Err(Failure::at(Field::Name, ErrorCode::NameMalformed, message).into());
    }
    let tenants = state.control.tenants();
    match tenants.operator_delete(operator, &scope).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Ok(StatusCode::ACCEPTED),
    }
}
