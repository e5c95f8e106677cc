//! The event log of the installation.

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
use control::LoggedEvent;
use domain::{Access, Failure};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An event of a node.
#[derive(Serialize, ToSchema)]
pub struct NodeEvent {
    at: Time,
    /// The node's name; `null` where there is only one.
    node: Option<String>,
    /// The name of the tenant that it is about; `null` if that is none, or none any more.
    tenant: Option<String>,
    category: Category,
    /// What happened, for programs to compare.
    #[schema(example = "drift.interface_gone")]
    kind: String,
    /// What happened, for people.
    message: String,
}

impl NodeEvent {
    pub fn new(e: LoggedEvent, client: Client) -> Self {
        Self {
            at: e.row.at.into(),
            node: e.row.node,
            tenant: e.tenant,
            category: e.row.category.into(),
            kind: e.kind,
            message: client.texts.message(&e.row.message),
        }
    }
}

/// Returns the number before which a page begins, and how many rows to read: one more than
/// the page has.
pub(super) fn place(list: &str, params: &PageParams) -> Result<(usize, i64, u32), Failure> {
    let limit = cursor::limit(params.limit)?;
    let before = cursor::parse(list, params.cursor.as_deref())?;
    let rows = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    Ok((limit, before.unwrap_or(i64::MAX), rows))
}

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventLogParams {
    /// `next` of the page before; without it, the first page.
    cursor: Option<String>,
    /// The most items of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// Only those of the tenant of this name.
    tenant: Option<String>,
}

/// The event log
///
/// What the nodes met with, newest first.
#[utoipa::path(
    get,
    path = "/v1/operator/events",
    tag = "operator",
    security(("bearer" = [])),
    params(EventLogParams),
    responses((status = 200, body = Page<NodeEvent>), Problems)
)]
pub async fn operator_events(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Params(params): Params<EventLogParams>,
) -> Result<Json<Page<NodeEvent>>, Refusal> {
    const LIST: &str = "node-events";
    let operator = permission.operator(Access::Read)?;
    let EventLogParams {
        cursor,
        limit,
        tenant,
    } = params;
    let list = match &tenant {
        Some(tenant) => format!("{LIST}.{tenant}"),
        None => LIST.to_owned(),
    };
    let (limit, before, rows) = place(&list, &PageParams { cursor, limit })?;
    let operators = state.control.operators();
    let events = operators.events_before(operator, tenant.as_deref(), before, rows);
    let events = events.await?;
    let shown = |e: LoggedEvent| NodeEvent::new(e, client);
    Ok(Json(cursor::page(&list, events, limit, |e| e.id, shown)))
}
