//! `api.<base>/metrics`, for an operator's API token.

use crate::metrics::{self, Metrics};
use axum::{Router, routing::get};
use control::Control;
use tokio::sync::watch;

/// Returns the route.
pub fn routes(control: Control, metrics: Metrics, closing: watch::Receiver<bool>) -> Router {
    let router = Router::new().route("/metrics", get(metrics::answer));
    api::for_operators(control, closing, router.with_state(metrics))
}
