//! Graphs of past traffic.

use super::{choices::Span, problems::Problems, time::Time};
use crate::{
    http::{path::Named, permission::Permission, problem::Refusal, query::Params},
    state::ApiState,
};
use axum::{Json, extract::State};
use domain::{Access, DeviceId, Failure, TrafficPoint};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which graph.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SpanParams {
    /// A day unless it says so.
    #[serde(default = "day")]
    #[param(inline)]
    span: Span,
}

const fn day() -> Span {
    Span::Day
}

/// The bytes of one step.
#[derive(Serialize, ToSchema)]
pub struct Step {
    /// When the step began.
    at: Time,
    down_bytes: u64,
    up_bytes: u64,
}

/// A graph of past traffic: every step of the span up to now. "Down" is towards the devices.
#[derive(Serialize, ToSchema)]
pub struct TrafficGraph {
    span: Span,
    /// The length of a step in seconds.
    step_seconds: i64,
    points: Vec<Step>,
}

async fn graph(
    state: &ApiState,
    permission: &Permission,
    device: Option<DeviceId>,
    span: Span,
) -> Result<Json<TrafficGraph>, Failure> {
    let scope = permission.0.tenant(Access::Read)?;
    let points = state.control.traffic();
    let points = points.series(scope, device, span.into()).await?;
    let step = |p: TrafficPoint| Step {
        at: p.at.into(),
        down_bytes: p.tx_bytes,
        up_bytes: p.rx_bytes,
    };
    Ok(Json(TrafficGraph {
        step_seconds: domain::Span::from(span).step_millis() / 1_000,
        span,
        points: points.into_iter().map(step).collect(),
    }))
}

/// Traffic of all devices
#[utoipa::path(
    get,
    path = "/v1/traffic",
    tag = "traffic",
    security(("bearer" = [])),
    params(SpanParams),
    responses((status = 200, body = TrafficGraph), Problems)
)]
pub async fn get_traffic(
    State(state): State<ApiState>,
    permission: Permission,
    Params(params): Params<SpanParams>,
) -> Result<Json<TrafficGraph>, Refusal> {
    Ok(graph(&state, &permission, None, params.span).await?)
}

/// Traffic of a device
#[utoipa::path(
    get,
    path = "/v1/devices/{id}/traffic",
    tag = "traffic",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The device's id."), SpanParams),
    responses((status = 200, body = TrafficGraph), Problems)
)]
pub async fn get_device_traffic(
    State(state): State<ApiState>,
    permission: Permission,
    Named(id): Named<DeviceId>,
    Params(params): Params<SpanParams>,
) -> Result<Json<TrafficGraph>, Refusal> {
    Ok(graph(&state, &permission, Some(id), params.span).await?)
}
