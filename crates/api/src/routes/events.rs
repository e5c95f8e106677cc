//! What happened to a tenant's network.

use super::{choices::Category, problems::Problems, time::Time};
use crate::{
    http::{
        client::Client,
        cursor::{self, Page},
        permission::Permission,
        problem::Refusal,
        query::Params,
    },
    state::ApiState,
};
use axum::{Json, extract::State};
use control::TenantEvent;
use domain::Access;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// `next` of the page before; without it, the first page.
    cursor: Option<String>,
    /// The most items of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// Only those of a kind.
    #[param(inline)]
    category: Option<Category>,
}

/// An event.
#[derive(Serialize, ToSchema)]
pub struct Event {
    at: Time,
    category: Category,
    /// What happened, for programs to compare.
    #[schema(example = "drift.interface_gone")]
    kind: String,
    /// What happened, for people.
    message: String,
}

impl Event {
    pub(super) fn new(e: TenantEvent, client: Client) -> Self {
        Self {
            at: e.row.at.into(),
            category: e.row.category.into(),
            message: client.texts.tenant_event(&e.row.kind),
            kind: e.row.kind,
        }
    }
}

/// Events
///
/// What happened to your network, newest first.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    security(("bearer" = [])),
    params(EventParams),
    responses((status = 200, body = Page<Event>), Problems)
)]
pub async fn list_events(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Params(params): Params<EventParams>,
) -> Result<Json<Page<Event>>, Refusal> {
    let scope = permission.tenant(Access::Read)?;
    let limit = cursor::limit(params.limit)?;
    let category = params.category.map(domain::view::EventCategory::from);
    let list = format!("events.{}", category.map_or("all", |c| c.as_str()));
    let before = cursor::parse(&list, params.cursor.as_deref())?;
    let before = before.unwrap_or(i64::MAX);
    let events = state.control.events();
    let events = events
        .of_tenant_before(scope, category, before, limit + 1)
        .await?;
    let shown = |e: TenantEvent| Event::new(e, client);
    Ok(Json(cursor::page(&list, events, limit, |e| e.id, shown)))
}
