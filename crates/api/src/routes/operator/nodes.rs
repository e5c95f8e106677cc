//! The nodes.

use super::overview::{Capacity, NodeProblem};
use crate::{
    http::{
        body::Body, client::Client, etag, idempotency::KeyParam, path::Named,
        permission::Permission, problem::Refusal, query::Params,
    },
    routes::{choices::Standing, problems::Problems, time::Time},
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use domain::{Access, Failure, NodeId, OperatorScope, view::NodeRow};
use serde::{Deserialize, Serialize};
use texts::Texts;
use utoipa::{IntoParams, ToSchema};

/// A node.
#[derive(Serialize, ToSchema)]
pub struct Node {
    id: i64,
    name: String,
    /// The host that devices connect to.
    host: Option<String>,
    /// Whether it is in a control plane's process, and no worker.
    local: bool,
    standing: Standing,
    tenants: u32,
    capacity: Capacity,
    wireguard: String,
    version: Option<String>,
    last_heard: Option<Time>,
    certificate_expires: Option<Time>,
    problems: Vec<NodeProblem>,
}

impl Node {
    fn new(n: NodeRow, texts: &Texts) -> Self {
        let problem = |p| NodeProblem::new(Some(n.name.clone()), p, texts);
        Self {
            problems: n.problems.iter().map(problem).collect(),
            id: n.id.0,
            name: n.name,
            host: n.host,
            local: n.is_local,
            standing: n.standing.into(),
            tenants: n.tenants,
            capacity: n.capacity.into(),
            wireguard: n.wireguard,
            version: n.version,
            last_heard: n.last_heard.map(Time::from),
            certificate_expires: n.certificate_expires.map(Time::from),
        }
    }
}

/// The nodes.
#[derive(Serialize, ToSchema)]
pub struct NodeList {
    items: Vec<Node>,
}

type Tagged = ([(HeaderName, HeaderValue); 1], Json<Node>);

/// Returns the ETag of what can be changed of a node.
fn tag(n: &NodeRow) -> String {
    etag::etag(&(n.id.0, n.standing.as_str(), &n.host))
}

fn tagged(node: NodeRow, client: Client) -> Tagged {
    let tag = etag::header(&tag(&node));
    (tag, Json(Node::new(node, client.texts)))
}

async fn find(state: &ApiState, operator: &OperatorScope, id: NodeId) -> Result<NodeRow, Failure> {
    let nodes = state.control.nodes().list(operator).await?.nodes;
    let found = nodes.into_iter().find(|n| n.id == id);
    found.ok_or_else(Failure::not_found)
}

/// Nodes
#[utoipa::path(
    get,
    path = "/v1/operator/nodes",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = NodeList), Problems)
)]
pub async fn operator_list_nodes(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
) -> Result<Json<NodeList>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let nodes = state.control.nodes().list(operator).await?.nodes;
    let shown = |n| Node::new(n, client.texts);
    let items = nodes.into_iter().map(shown).collect();
    Ok(Json(NodeList { items }))
}

/// A node
#[utoipa::path(
    get,
    path = "/v1/operator/nodes/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The node's id.")),
    responses((status = 200, body = Node, headers(("ETag" = String))), Problems)
)]
pub async fn operator_get_node(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Named(id): Named<NodeId>,
) -> Result<Tagged, Refusal> {
    let operator = permission.operator(Access::Read)?;
    Ok(tagged(find(&state, operator, id).await?, client))
}

/// What is changed of a node. What is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeChange {
    /// Whether it gets new tenants.
    open: Option<bool>,
    /// The host that devices connect to; those of a worker have to be configured again then.
    host: Option<String>,
}

/// Change a node
#[utoipa::path(
    patch,
    path = "/v1/operator/nodes/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(
        ("id" = i64, Path, description = "The node's id."),
        ("If-Match" = Option<String>, Header, description = "The ETag that you read.")
    ),
    request_body = NodeChange,
    responses((status = 200, body = Node, headers(("ETag" = String))), Problems)
)]
pub async fn operator_change_node(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Named(id): Named<NodeId>,
    headers: HeaderMap,
    Body(change): Body<NodeChange>,
) -> Result<Tagged, Refusal> {
    let operator = permission.owner()?;
    let mut expected = None;
    if etag::is_conditional(&headers) {
        let now = find(&state, operator, id).await?;
        etag::check(&headers, &tag(&now))?;
        // Compared once more in the transaction of the change.
        expected = Some(now);
    }
    let change = control::NodeChange {
        host: change.host,
        open: change.open,
    };
    let nodes = state.control.nodes();
    let changed = nodes.change_if(operator, id, change, expected.as_ref());
    changed.await?;
    Ok(tagged(find(&state, operator, id).await?, client))
}

/// Revoke a worker
///
/// Its certificate is refused from now on.
#[utoipa::path(
    post,
    path = "/v1/operator/nodes/{id}/revoke",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The node's id.")),
    responses((status = 204, description = "It is revoked."), Problems)
)]
pub async fn operator_revoke_node(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<NodeId>,
) -> Result<StatusCode, Refusal> {
    let operator = permission.owner()?;
    state.control.nodes().revoke(operator, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What confirms that a node is removed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NodeConfirmation {
    /// The node's name, which confirms it.
    name: String,
}

/// Remove a worker
///
/// Only one without tenants.
#[utoipa::path(
    delete,
    path = "/v1/operator/nodes/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The node's id."), NodeConfirmation),
    responses((status = 204, description = "It is removed."), Problems)
)]
pub async fn operator_remove_node(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<NodeId>,
    Params(confirmation): Params<NodeConfirmation>,
) -> Result<StatusCode, Refusal> {
    let operator = permission.owner()?;
    let nodes = state.control.nodes();
    nodes.remove(operator, id, &confirmation.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// For which machine a join token is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoinToken {
    /// The worker whose machine joins again; without it, a new one.
    node: Option<i64>,
}

/// A join token. It is shown this once, and works once, for an hour.
#[derive(Serialize, ToSchema)]
pub struct CreatedJoinToken {
    token: String,
    /// The command with which a machine joins.
    command: String,
    /// Where machines reach this installation.
    address: String,
    expires_at: Time,
}

/// Make a join token
#[utoipa::path(
    post,
    path = "/v1/operator/join-tokens",
    tag = "operator",
    security(("bearer" = [])),
    params(KeyParam),
    request_body = NewJoinToken,
    responses((status = 201, body = CreatedJoinToken), Problems)
)]
pub async fn operator_create_join_token(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(new): Body<NewJoinToken>,
) -> Result<(StatusCode, Json<CreatedJoinToken>), Refusal> {
    let operator = permission.owner()?;
    let nodes = state.control.nodes();
    let made = nodes.create_token(operator, new.node.map(NodeId)).await?;
    let token = CreatedJoinToken {
        token: made.token.expose().to_owned(),
        command: made.command.expose().to_owned(),
        address: made.address,
        expires_at: made.expires.into(),
    };
    Ok((StatusCode::CREATED, Json(token)))
}
