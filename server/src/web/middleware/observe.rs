//! What is noted of every request: an id, a line in the log, and counts for the metrics.
//!
//! A line has the route's pattern and not the path, never a query, no header, no address and no
//! name of a tenant: paths and queries may contain tickets.

use crate::{
    metrics::{
        Metrics,
        requests::{NO_ROUTE, method_name},
    },
    web::{
        host_label::HostLabel,
        hosts::Site,
        trace_context::{TRACEPARENT, TraceContext},
    },
};
use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use domain::TenantId;
use std::{net::SocketAddr, sync::Arc, time::Instant};
use tracing::Instrument;

/// What [`observe`] needs.
#[derive(Clone)]
pub struct Observation {
    pub site: Arc<Site>,
    pub metrics: Metrics,
}

/// Gives a request its id, counts it, and logs it at the level debug (one that the server
/// failed at the level info), with the target `requests`.
pub async fn observe(
    State(observation): State<Observation>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_trusted = peer.is_some_and(|peer| observation.site.trusts(peer.0.ip().to_canonical()));
    let trace = match is_trusted {
        true => TraceContext::of(request.headers()),
        false => TraceContext::new(),
    };
    let span = tracing::info_span!("request", id = trace.id());
    let answer = control::with_incident_id(trace.id().to_owned(), next.run(request));
    let mut response = answer.instrument(span).await;
    let took = begun.elapsed();
    let status = response.status();
    let noted = response.extensions();
    let host = noted.get::<HostLabel>().map_or(NO_ROUTE, |host| host.0);
    let route = noted
        .get::<MatchedPath>()
        .map_or(NO_ROUTE, MatchedPath::as_str);
    let tenant = noted.get::<TenantId>().map(|tenant| tenant.0);
    let requests = observation.metrics.requests();
    requests.record(host, &method, route, status, took);
    let (request, method, status) = (trace.id(), method_name(&method), status.as_u16());
    let took_ms = (took.as_secs_f64() * 1e5).round() / 1e2;
    // A balancer asks several times a second whether it is ready.
    if status >= 500 && route != "/readyz" {
        tracing::info!(target: "requests", request, tenant, host, method, route, status, took_ms, "a request failed");
    } else {
        tracing::debug!(target: "requests", request, tenant, host, method, route, status, took_ms, "answered");
    }
    if let Some(header) = trace.header() {
        response.headers_mut().insert(TRACEPARENT, header);
    }
    response
}

/// Notes the pattern of the route that answers.
pub async fn note_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}
