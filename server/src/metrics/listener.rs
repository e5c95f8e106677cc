//! The listener of `[metrics] listen`: metrics and health without a token, for a private
//! address.

use super::Metrics;
use crate::{accept, health, start_error::StartError};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// The port, which answers once [`run`](Self::run) is called.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Listens there; `None` for nowhere.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: Option<SocketAddr>) -> Result<Option<Self>, StartError> {
        let Some(address) = address else {
            return Ok(None);
        };
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Some(Self(listener))),
            Err(source) => Err(StartError::Listen { address, source }),
        }
    }

    /// Answers until `ended` completes.
    pub async fn run(self, metrics: Metrics, ended: impl Future<Output = ()>) {
        accept::run(self.0, router(metrics), accept::Limits::default(), ended).await;
    }
}

/// Returns what the listener serves.
fn router(metrics: Metrics) -> Router {
    Router::new()
        .route("/metrics", get(answer))
        .with_state(metrics.clone())
        .merge(health::routes(metrics.readiness().clone()))
        .fallback(async || StatusCode::NOT_FOUND)
}

/// Answers with the metrics.
pub(crate) async fn answer(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let (media_type, text) = metrics.answer(&headers).await;
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (
            header::CACHE_CONTROL,
            axum::http::HeaderValue::from_static("no-store"),
        ),
    ];
    (headers, text).into_response()
}
