//! The state of a tenant's DNS filter.

use super::{account::Part, problems::Problems};
use crate::{
    http::{client::Client, permission::Permission, problem::Refusal},
    state::ApiState,
};
use axum::{Json, extract::State};
use domain::Access;
use serde::Serialize;
use utoipa::ToSchema;

/// The DNS queries of the last 24 hours.
#[derive(Serialize, ToSchema)]
pub struct Queries {
    total: u64,
    /// Those that were blocked.
    blocked: u64,
}

/// A DNS filter.
#[derive(Serialize, ToSchema)]
pub struct DnsState {
    state: Part,
    /// The address in the tunnel where it answers.
    #[schema(example = "10.88.1.1")]
    address: String,
    /// `null` until it has reported them.
    queries: Option<Queries>,
}

/// The DNS filter
#[utoipa::path(
    get,
    path = "/v1/dns",
    tag = "dns",
    security(("bearer" = [])),
    responses((status = 200, body = DnsState), Problems)
)]
pub async fn get_dns(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
) -> Result<Json<DnsState>, Refusal> {
    let scope = permission.tenant(Access::Read)?;
    let view = state.control.tenants().dashboard(scope).await?;
    let view = view.map_problems(|problem| client.texts.tenant_problem(&problem));
    Ok(Json(DnsState {
        state: view.network.status.dns.into(),
        address: view.network.gateway,
        queries: view.usage.queries.map(|q| Queries {
            total: q.total,
            blocked: q.blocked,
        }),
    }))
}
