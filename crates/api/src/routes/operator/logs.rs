//! The audit log and the event log of the installation.

use crate::{
    http::{
        client::Client,
        cursor::{self, Page, PageParams},
        permission::Permission,
        problem::Refusal,
        query::Params,
    },
    routes::{choices::Category, problems::Problems, time::Time},
    state::ApiState,
};
use axum::{Json, extract::State};
use control::Numbered;
use domain::{
    Access, Failure,
    view::{AuditRow, EventRow},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What a person did.
#[derive(Serialize, ToSchema)]
pub struct AuditEntry {
    at: Time,
    /// A tenant's name, or `operator:` and the operator's.
    actor: String,
    #[schema(example = "device.add")]
    action: String,
    #[schema(example = "lina/My phone")]
    object: String,
}

/// An event of a node.
#[derive(Serialize, ToSchema)]
pub struct NodeEvent {
    at: Time,
    /// The node's name; `null` where there is only one.
    node: Option<String>,
    category: Category,
    /// What happened, for programs to compare.
    kind: String,
    /// What happened, for people.
    message: String,
}

/// Returns the number before which a page begins, and how many rows to read: one more than
/// the page has.
fn place(list: &str, params: &PageParams) -> Result<(usize, i64, u32), Failure> {
    let limit = cursor::limit(params.limit)?;
    let before = cursor::parse(list, params.cursor.as_deref())?;
    let rows = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    Ok((limit, before.unwrap_or(i64::MAX), rows))
}

/// The audit log
///
/// What people did, newest first.
#[utoipa::path(
    get,
    path = "/v1/operator/audit",
    tag = "operator",
    security(("bearer" = [])),
    params(PageParams),
    responses((status = 200, body = Page<AuditEntry>), Problems)
)]
pub async fn operator_audit(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<AuditEntry>>, Refusal> {
    const LIST: &str = "audit";
    let operator = permission.operator(Access::Read)?;
    let (limit, before, rows) = place(LIST, &params)?;
    let operators = state.control.operators();
    let entries = operators.audit_before(operator, before, rows).await?;
    let shown = |e: Numbered<AuditRow>| AuditEntry {
        at: e.row.at.into(),
        actor: e.row.actor,
        action: e.row.action,
        object: e.row.object,
    };
    Ok(Json(cursor::page(LIST, entries, limit, |e| e.id, shown)))
}

/// The event log
///
/// What the nodes met with, newest first.
#[utoipa::path(
    get,
    path = "/v1/operator/events",
    tag = "operator",
    security(("bearer" = [])),
    params(PageParams),
    responses((status = 200, body = Page<NodeEvent>), Problems)
)]
pub async fn operator_events(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<NodeEvent>>, Refusal> {
    const LIST: &str = "node-events";
    let operator = permission.operator(Access::Read)?;
    let (limit, before, rows) = place(LIST, &params)?;
    let operators = state.control.operators();
    let events = operators.events_before(operator, before, rows).await?;
    let shown = |e: Numbered<EventRow>| NodeEvent {
        at: e.row.at.into(),
        node: e.row.node,
        category: e.row.category.into(),
        kind: e.row.message.code().to_owned(),
        message: client.texts.message(&e.row.message),
    };
    Ok(Json(cursor::page(LIST, events, limit, |e| e.id, shown)))
}
