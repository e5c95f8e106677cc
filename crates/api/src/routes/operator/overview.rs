//! The installation at a glance, and who uses how much of it.

use crate::{
    http::{client::Client, permission::Permission, problem::Refusal},
    routes::problems::Problems,
    state::ApiState,
};
use axum::{Json, extract::State};
use domain::{Access, Problem, view};
use serde::Serialize;
use texts::Texts;
use utoipa::ToSchema;

/// What is wrong with a node, as an operator reads it.
#[derive(Serialize, ToSchema)]
pub struct NodeProblem {
    /// The node's name; `null` where there is only one.
    node: Option<String>,
    code: String,
    message: String,
}

impl NodeProblem {
    pub fn new(node: Option<String>, problem: &Problem, texts: &Texts) -> Self {
        Self {
            node,
            code: problem.code.to_string(),
            message: texts.message(&problem.message),
        }
    }
}

/// How many more tenants fit.
#[derive(Serialize, ToSchema)]
pub struct Capacity {
    /// The number of further tenants.
    more: u32,
    slots_free: u32,
    /// The most tenants that the operator allows; `null` is no limit.
    limit: Option<u32>,
}

impl From<view::CapacityView> for Capacity {
    fn from(c: view::CapacityView) -> Self {
        Self {
            more: c.more,
            slots_free: c.slots_free,
            limit: c.limit,
        }
    }
}

/// The installation at a glance.
#[derive(Serialize, ToSchema)]
pub struct Overview {
    tenants: u32,
    devices: u32,
    /// The number of connected devices.
    online: u32,
    nodes: u32,
    /// How many more tenants fit on all nodes together.
    capacity: Capacity,
    /// The WireGuard implementation in use, in words.
    wireguard: String,
    problems: Vec<NodeProblem>,
}

/// Overview
#[utoipa::path(
    get,
    path = "/v1/operator/overview",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = Overview), Problems)
)]
pub async fn operator_overview(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
) -> Result<Json<Overview>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let view = state.control.operators().overview(operator).await?;
    let problem = |p: view::NodeProblem| NodeProblem::new(p.node, &p.problem, client.texts);
    Ok(Json(Overview {
        tenants: u32::try_from(view.tenants.len()).unwrap_or(u32::MAX),
        devices: view.tenants.iter().map(|t| t.devices).sum(),
        online: view.tenants.iter().map(|t| t.online).sum(),
        nodes: view.nodes,
        capacity: view.capacity.into(),
        wireguard: view.wireguard,
        problems: view.problems.into_iter().map(problem).collect(),
    }))
}

/// What a tenant uses. A figure that is not known is `null`.
#[derive(Serialize, ToSchema)]
pub struct TenantResources {
    id: i64,
    name: String,
    disk_bytes: Option<u64>,
    memory_bytes: Option<u64>,
    /// In percent of one processor.
    cpu_percent: Option<f64>,
    connections: Option<u64>,
    /// The data of the month.
    used_bytes: u64,
}

/// Who uses how much.
#[derive(Serialize, ToSchema)]
pub struct Resources {
    items: Vec<TenantResources>,
}

/// What tenants use
#[utoipa::path(
    get,
    path = "/v1/operator/resources",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = Resources), Problems)
)]
pub async fn operator_resources(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<Resources>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let view = state.control.operators().resources(operator).await?;
    let item = |r: view::ResourceRow| TenantResources {
        id: r.id.0,
        name: r.name,
        disk_bytes: r.disk_bytes,
        memory_bytes: r.memory_bytes,
        cpu_percent: r.cpu_percent,
        connections: r.connections,
        used_bytes: r.data.used_bytes,
    };
    let items = view.rows.into_iter().map(item).collect();
    Ok(Json(Resources { items }))
}
