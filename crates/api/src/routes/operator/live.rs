//! The logs of the installation as streams.

use crate::{
    http::{client::Client, permission::Permission, problem::Refusal, query::Params},
    routes::{
        live::LiveEvent,
        log_stream::{self, Log},
        problems::Problems,
    },
    state::ApiState,
};
use axum::{extract::State, http::HeaderMap, response::Response};
use control::AuditQuery;
use domain::Access;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What an operator's stream is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperatorTopic {
    /// The audit log, each entry as `GET /v1/operator/audit` has it.
    Audit,
    /// The event log, each event as `GET /v1/operator/events` has it.
    Events,
}

/// Which stream.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OperatorTopicParams {
    #[param(inline)]
    topic: OperatorTopic,
    /// How many of the newest entries come first.
    #[param(minimum = 0, maximum = 1000, default = 0)]
    recent: Option<u16>,
    /// The name of the tenant that entries are about.
    tenant: Option<String>,
    /// Of the audit log: a tenant's name, or `operator:` and the operator's.
    #[serde(default)]
    actor: String,
    /// Of the audit log: an action, e.g. `device.add`.
    #[serde(default)]
    action: String,
}

/// Live logs
///
/// A stream of server-sent events: `begin` at once, the newest entries, and then each new one
/// when it is made, named after the topic. A client that sends the id of the last event that it
/// has as `Last-Event-ID` gets what came behind it. An entry of the seconds before may come
/// again, with the same id, where several control planes write. The stream ends with the event
/// `ended`, whose data is a code, when the token is no longer valid.
#[utoipa::path(
    get,
    path = "/v1/operator/live",
    tag = "operator",
    security(("bearer" = [])),
    params(OperatorTopicParams),
    responses((status = 200, body = LiveEvent, content_type = "text/event-stream", description = "The events. The schema is that of one."), Problems)
)]
pub async fn operator_live(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Params(params): Params<OperatorTopicParams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let operator = permission.operator(Access::Read)?.clone();
    let recent = log_stream::recent(params.recent)?;
    let log = match params.topic {
        OperatorTopic::Audit => {
            let query = AuditQuery {
                actor: params.actor,
                action: params.action,
                tenant: params.tenant.unwrap_or_default(),
                ..AuditQuery::default()
            };
            Log::Audit { operator, query }
        }
        OperatorTopic::Events => {
            let tenant = params.tenant;
            Log::Events { operator, tenant }
        }
    };
    let followed = log_stream::follow(state, client, &permission, &headers, log, recent);
    Ok(followed.await?)
}
