//! The plans.

use crate::{
    http::{
        body::Body, etag, idempotency::KeyParam, path::Named, permission::Permission,
        problem::Refusal,
    },
    routes::{choices::AtLimit, plan::Plan, problems::Problems},
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};
use domain::{Access, ErrorCode, Failure, Field, Message, plan::MAX_ID_BYTES, view};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A plan with the number of its tenants.
#[derive(Serialize, ToSchema)]
pub struct PlanUse {
    plan: Plan,
    tenants: u32,
}

/// Every plan.
#[derive(Serialize, ToSchema)]
pub struct PlanUses {
    items: Vec<PlanUse>,
}

/// What a plan is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanTerms {
    /// 1 to 32 of the letters a to z, digits and hyphens.
    #[schema(example = "family")]
    id: String,
    name: String,
    #[schema(minimum = 1, maximum = 253)]
    devices: u16,
    /// Bytes per month; `null` is no limit.
    #[schema(minimum = 1_000_000, maximum = 1_000_000_000_000_000_i64)]
    monthly_bytes: Option<u64>,
    /// Bits per second towards the devices; `null` is no limit.
    #[schema(minimum = 64_000, maximum = 10_000_000_000_000_i64)]
    down_bps: Option<u64>,
    /// Bits per second from the devices; `null` is no limit.
    #[schema(minimum = 64_000, maximum = 10_000_000_000_000_i64)]
    up_bps: Option<u64>,
    at_limit: AtLimit,
    /// Bits per second once the data are used up, if that is `slow`.
    #[schema(minimum = 64_000, maximum = 10_000_000_000_000_i64)]
    slow_bps: u64,
    /// The day on which a month begins.
    #[schema(minimum = 1, maximum = 31)]
    month_day: u8,
    #[serde(default)]
    recommended: bool,
    /// Whether a visitor may choose it.
    visible: bool,
    /// Its place in the list; a new plan is the last, and another one stays where it is.
    #[schema(maximum = 4_294_967_295_i64)]
    position: Option<u32>,
}

impl PlanTerms {
    fn into_plan(self, position: u32) -> domain::Plan {
        domain::Plan {
            id: self.id,
            name: self.name,
            devices: self.devices,
            monthly_bytes: self.monthly_bytes,
            down_bps: self.down_bps,
            up_bps: self.up_bps,
            at_limit: self.at_limit.into(),
            slow_bps: self.slow_bps,
            month_day: self.month_day,
            recommended: self.recommended,
            visible: self.visible,
            position: self.position.unwrap_or(position),
        }
    }

    /// Returns the plan that is to replace another one.
    fn replacing(self, before: &domain::Plan) -> Result<domain::Plan, Failure> {
        if self.id == before.id {
            return Ok(self.into_plan(before.position));
        }
        let most = MAX_ID_BYTES as u64;
        let message = Message::PlanIdMalformed { most };
        Err(Failure::at(
            Field::PlanId,
            ErrorCode::PlanMalformed,
            message,
        ))
    }
}

type Tagged = ([(HeaderName, HeaderValue); 1], Json<Plan>);

fn tagged(plan: domain::Plan) -> Tagged {
    (etag::header(&etag::etag(&plan)), Json(plan.into()))
}

/// All plans
#[utoipa::path(
    get,
    path = "/v1/operator/plans",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = PlanUses), Problems)
)]
pub async fn operator_list_plans(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<PlanUses>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let plans = state.control.plans().all(operator).await?;
    let shown = |p: view::PlanUse| PlanUse {
        plan: p.plan.into(),
        tenants: p.tenants,
    };
    let items = plans.into_iter().map(shown).collect();
    Ok(Json(PlanUses { items }))
}

/// Create a plan
#[utoipa::path(
    post,
    path = "/v1/operator/plans",
    tag = "operator",
    security(("bearer" = [])),
    params(KeyParam),
    request_body = PlanTerms,
    responses((status = 201, body = Plan, headers(("ETag" = String), ("Location" = String))), Problems)
)]
pub async fn operator_create_plan(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(terms): Body<PlanTerms>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Tagged), Refusal> {
    let operator = permission.owner()?;
    let plan = terms.into_plan(0);
    let created = state.control.plans().create(operator, plan).await?;
    let location = format!("/v1/operator/plans/{}", created.id);
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, tagged(created)))
}

/// A plan
#[utoipa::path(
    get,
    path = "/v1/operator/plans/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The plan's id.")),
    responses((status = 200, body = Plan, headers(("ETag" = String))), Problems)
)]
pub async fn operator_get_plan(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<String>,
) -> Result<Tagged, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let plan = state.control.plans().get(operator, &id).await?;
    Ok(tagged(plan))
}

/// Change a plan
///
/// At once for all its tenants. It needs `If-Match`, so that of two operators the second is
/// told.
#[utoipa::path(
    put,
    path = "/v1/operator/plans/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The plan's id."),
        ("If-Match" = String, Header, description = "The ETag that you read, or * for any state.")
    ),
    request_body = PlanTerms,
    responses((status = 200, body = Plan, headers(("ETag" = String))), Problems)
)]
pub async fn operator_change_plan(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<String>,
    headers: HeaderMap,
    Body(terms): Body<PlanTerms>,
) -> Result<Tagged, Refusal> {
    let operator = permission.owner()?;
    let plans = state.control.plans();
    let before = plans.get(operator, &id).await?;
    etag::demand(&headers, &etag::etag(&before))?;
    let after = terms.replacing(&before)?;
    // Compared once more in the transaction of the change.
    let changed = plans.change_if(operator, after.clone(), Some(&before));
    changed.await?;
    Ok(tagged(after))
}

/// Delete a plan
///
/// Only one that no tenant has. One that is in use can be hidden.
#[utoipa::path(
    delete,
    path = "/v1/operator/plans/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The plan's id.")),
    responses((status = 204, description = "It is deleted."), Problems)
)]
pub async fn operator_delete_plan(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    let operator = permission.owner()?;
    state.control.plans().delete(operator, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many tenants there are of a kind, and the first of them.
#[derive(Serialize, ToSchema)]
pub struct SomeTenants {
    count: u32,
    /// At most ten names.
    first: Vec<String>,
}

impl From<view::TenantNames> for SomeTenants {
    fn from(names: view::TenantNames) -> Self {
        Self {
            count: names.count,
            first: names.first,
        }
    }
}

/// Whom a change of a plan would touch.
#[derive(Serialize, ToSchema)]
pub struct PlanImpact {
    /// The number of tenants that have the plan.
    tenants: u32,
    /// Those with more devices than it would allow.
    over_devices: SomeTenants,
    /// Those who would be slower or stopped at once.
    over_data: SomeTenants,
    /// Those who would not be any more.
    reopened: SomeTenants,
}

/// Preview a change of a plan
///
/// Says whom it would touch, and changes nothing.
#[utoipa::path(
    post,
    path = "/v1/operator/plans/{id}/preview",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The plan's id.")),
    request_body = PlanTerms,
    responses((status = 200, body = PlanImpact), Problems)
)]
pub async fn operator_preview_plan(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<String>,
    Body(terms): Body<PlanTerms>,
) -> Result<Json<PlanImpact>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let plans = state.control.plans();
    let before = plans.get(operator, &id).await?;
    let impact = plans.preview(operator, &terms.replacing(&before)?).await?;
    Ok(Json(PlanImpact {
        tenants: impact.tenants,
        over_devices: impact.over_devices.into(),
        over_data: impact.over_data.into(),
        reopened: impact.reopened.into(),
    }))
}
