//! Moving tenants to other nodes: one by one, all of a node, all of a lost worker. A running
//! control plane carries moves out; an answer says that one is noted.

use super::overview::NodeProblem;
use crate::{
    http::{body::Body, client::Client, path::Named, permission::Permission, problem::Refusal},
    routes::{choices::MoveReason, problems::Problems, time::Time},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    Access, NodeId, TenantId,
    view::{MoveRow, NodesView},
};
use serde::{Deserialize, Serialize};
use texts::Texts;
use utoipa::ToSchema;

/// A move that is still to be carried out.
#[derive(Serialize, ToSchema)]
pub struct Move {
    /// The tenant's name.
    tenant: String,
    /// The name of the node that it is to leave.
    from: Option<String>,
    /// The name of its new node; `null` is any.
    to: Option<String>,
    reason: MoveReason,
    /// Since when it is wanted.
    since: Time,
    /// How many bytes of what AdGuard Home has stored the present attempt has copied; `null`
    /// if they stay behind.
    copied_bytes: Option<u64>,
    /// Why the last attempt failed. It is tried again.
    problem: Option<NodeProblem>,
}

impl Move {
    fn new(m: &MoveRow, view: &NodesView, texts: &Texts) -> Self {
        let name = |id: NodeId| {
            let node = view.nodes.iter().find(|n| n.id == id);
            node.map(|n| n.name.clone())
        };
        let from = name(m.from);
        let problem = m.problem.as_ref();
        Self {
            tenant: m.name.to_string(),
            to: m.to.and_then(name),
            reason: m.reason.into(),
            since: m.begun_at.into(),
            copied_bytes: m.copied_bytes,
            problem: problem.map(|p| NodeProblem::new(from.clone(), p, texts)),
            from,
        }
    }
}

/// The moves.
#[derive(Serialize, ToSchema)]
pub struct MoveList {
    items: Vec<Move>,
}

/// Moves
///
/// Those that are still to be carried out, at most 1,000.
#[utoipa::path(
    get,
    path = "/v1/operator/moves",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = MoveList), Problems)
)]
pub async fn operator_list_moves(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
) -> Result<Json<MoveList>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let view = state.control.nodes().list(operator).await?;
    let shown = |m| Move::new(m, &view, client.texts);
    let items = view.moves.iter().map(shown).collect();
    Ok(Json(MoveList { items }))
}

/// Where a tenant is to be moved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveTarget {
    /// The new node's id; without it, the emptiest that has the tenant's slot free.
    to: Option<i64>,
    /// Leaves what AdGuard Home has stored behind, e.g. where the former node cannot copy it.
    #[serde(default)]
    without_data: bool,
}

/// Move a tenant
///
/// Its keys, port, addresses, devices and what its AdGuard Home has stored go along, and devices
/// go on with the configuration that they have. `GET /v1/operator/moves` says how far it is.
#[utoipa::path(
    post,
    path = "/v1/operator/tenants/{id}/move",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The tenant's id.")),
    request_body = MoveTarget,
    responses((status = 202, description = "It is going to be moved."), Problems)
)]
pub async fn operator_move_tenant(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<TenantId>,
    Body(target): Body<MoveTarget>,
) -> Result<StatusCode, Refusal> {
    let operator = permission.owner()?;
    let scope = state.control.auth().operator_tenant(operator, id).await?;
    let (nodes, to) = (state.control.nodes(), target.to.map(NodeId));
    let noted = nodes.move_tenant(operator, &scope, to, target.without_data);
    noted.await?;
    Ok(StatusCode::ACCEPTED)
}

/// Cancel a move
///
/// One that was not carried out yet. The tenant stays where it is.
#[utoipa::path(
    delete,
    path = "/v1/operator/tenants/{id}/move",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The tenant's id.")),
    responses((status = 204, description = "It is cancelled."), Problems)
)]
pub async fn operator_cancel_move(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<TenantId>,
) -> Result<StatusCode, Refusal> {
    let operator = permission.owner()?;
    let scope = state.control.auth().operator_tenant(operator, id).await?;
    state.control.nodes().cancel_move(operator, &scope).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What confirms that a node is drained.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Draining {
    /// Leaves what AdGuard Homes have stored behind.
    #[serde(default)]
    without_data: bool,
}

/// How many tenants are to be moved.
#[derive(Serialize, ToSchema)]
pub struct Evacuation {
    tenants: u64,
}

/// Drain a node
///
/// It gets no new tenants, and those that it has are moved to others; it serves each until it
/// has left. Opening the node (`PATCH /v1/operator/nodes/{id}`) ends that.
#[utoipa::path(
    post,
    path = "/v1/operator/nodes/{id}/drain",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The node's id.")),
    request_body = Draining,
    responses((status = 202, description = "Its tenants are going to be moved.", body = Evacuation), Problems)
)]
pub async fn operator_drain_node(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<NodeId>,
    Body(draining): Body<Draining>,
) -> Result<(StatusCode, Json<Evacuation>), Refusal> {
    let operator = permission.owner()?;
    let drained = state.control.nodes();
    let drained = drained.drain(operator, id, draining.without_data);
    let tenants = drained.await?;
    Ok((StatusCode::ACCEPTED, Json(Evacuation { tenants })))
}

/// Give a worker up
///
/// The tenants of a silent or revoked worker are placed on other nodes, with the keys, ports
/// and addresses that they have. What only that machine had is lost.
#[utoipa::path(
    post,
    path = "/v1/operator/nodes/{id}/lose",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The node's id.")),
    responses((status = 202, description = "Its tenants are going to be placed.", body = Evacuation), Problems)
)]
pub async fn operator_lose_node(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<NodeId>,
) -> Result<(StatusCode, Json<Evacuation>), Refusal> {
    let operator = permission.owner()?;
    let tenants = state.control.nodes().lose(operator, id).await?;
    Ok((StatusCode::ACCEPTED, Json(Evacuation { tenants })))
}
