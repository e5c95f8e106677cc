//! `/healthz` and `/readyz`, for what watches the process from outside. A visitor reads names
//! and whether they work, no more.

use crate::readiness::{Readiness, Report};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use std::collections::BTreeMap;

const NO_STORE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// The body of `/readyz`.
#[derive(Debug, Serialize)]
struct Body {
    ready: bool,
    dependencies: BTreeMap<&'static str, bool>,
}

/// Returns both routes.
pub(crate) fn routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

/// Answers that the process lives: it needs nothing else for that.
pub(crate) async fn live() -> Response {
    ([NO_STORE], "ok\n").into_response()
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    answer(&readiness.report().await)
}

/// Answers 200 where everything works, else 503.
pub(crate) fn answer(report: &Report) -> Response {
    let ready = report.is_ready();
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let dependencies = report.dependencies.iter().copied().collect();
    let body = Body {
        ready,
        dependencies,
    };
    (status, [NO_STORE], Json(body)).into_response()
}
