//! The names of tenants' endpoints at the operator's name server.

use crate::{
    http::{client::Client, permission::Permission, problem::Refusal},
    routes::problems::Problems,
    state::ApiState,
};
use axum::{Json, extract::State};
use control::{NameDifference, NamesView};
use domain::Access;
use serde::Serialize;
use texts::Texts;
use utoipa::ToSchema;

/// How the name server and the names of endpoints are.
#[derive(Serialize, ToSchema)]
pub struct EndpointNamesCheck {
    /// What follows `<name>-vpn.` in the name of an endpoint.
    domain: String,
    /// The name server.
    server: String,
    /// How many names there are.
    names: u64,
    /// Of how many the server has not acknowledged the newest record.
    pending: u64,
    /// How many records were read back, 400 at most.
    compared: u64,
    /// Those that differ. The server is told them again.
    differing: Vec<EndpointNameDifference>,
    /// Why the server takes no changes.
    problem: Option<String>,
}

/// A record that is another one at the name server.
#[derive(Serialize, ToSchema)]
pub struct EndpointNameDifference {
    name: String,
    /// The host that it should stand for.
    expected: String,
    /// What the server has.
    found: Option<String>,
}

impl EndpointNamesCheck {
    fn new(v: NamesView, texts: &Texts) -> Self {
        let difference = |d: NameDifference| EndpointNameDifference {
            name: d.name,
            expected: d.expected,
            found: d.found,
        };
        Self {
            domain: v.domain,
            server: v.server,
            names: v.names,
            pending: v.pending,
            compared: v.compared,
            differing: v.differing.into_iter().map(difference).collect(),
            problem: v.problem.map(|message| texts.message(&message)),
        }
    }
}

/// Check the names of endpoints
///
/// Asks the name server whether it takes changes, and compares its records.
#[utoipa::path(
    post,
    path = "/v1/operator/endpoint-names/check",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = EndpointNamesCheck), Problems)
)]
pub async fn operator_check_endpoint_names(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
) -> Result<Json<EndpointNamesCheck>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let view = state.control.nodes().check_names(operator).await?;
    Ok(Json(EndpointNamesCheck::new(view, client.texts)))
}
