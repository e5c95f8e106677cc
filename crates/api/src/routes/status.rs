//! Three numbers for a status page.

use super::problems::Problems;
use crate::{
    http::{permission::Permission, problem::Refusal},
    state::ApiState,
};
use axum::{Json, extract::State};
use control::ApiCaller;
use domain::{Failure, TenantStatus};
use serde::Serialize;
use utoipa::ToSchema;

/// Three numbers: of a tenant's network, or of the whole installation for an operator.
#[derive(Serialize, ToSchema)]
pub struct Status {
    devices: u32,
    /// The number of devices that are connected.
    online: u32,
    /// The number of things that do not work.
    problems: u32,
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Returns how many parts of a network do not work.
fn problems<P>(status: &TenantStatus<P>) -> usize {
    let parts = [&status.firewall, &status.tunnel, &status.dns];
    parts.iter().filter(|part| part.problem().is_some()).count()
}

/// Status
///
/// Three numbers, for a status page: give it an API token with the access `read`.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "account",
    security(("bearer" = [])),
    responses((status = 200, body = Status), Problems)
)]
pub async fn get_status(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<Status>, Refusal> {
    let control = &state.control;
    let status = match permission.caller() {
        ApiCaller::Tenant(scope) => {
            let network = control.tenants().network(scope).await?;
            let online = network.devices.iter().filter(|d| d.is_online(network.now));
            Status {
                online: count(online.count()),
                devices: count(network.devices.len()),
                problems: count(problems(&network.status)),
            }
        }
        ApiCaller::Operator(operator) => {
            let view = control.operators().overview(operator).await?;
            let of_tenants = view.tenants.iter().map(|t| problems(&t.status));
            Status {
                devices: view.tenants.iter().map(|t| t.devices).sum(),
                online: view.tenants.iter().map(|t| t.online).sum(),
                problems: count(view.problems.len() + of_tenants.sum::<usize>()),
            }
        }
        ApiCaller::FactorNeeded(_) => return Err(Failure::second_factor_required().into()),
    };
    Ok(Json(status))
}
