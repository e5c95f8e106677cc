//! `/metrics`: what an operator watches, for Prometheus and what reads its formats. Nothing in it
//! names a tenant, and the number of label sets depends on the program alone. A scrape reads
//! counters in memory; what costs a query is at most 15 s old ([`control::Figures`]).

mod installation;
mod listener;
mod node;
mod process;
pub(crate) mod requests;
mod samples;

pub(crate) use listener::{Listener, answer};

use crate::readiness::Readiness;
use axum::http::{HeaderMap, HeaderValue, header};
use control::Control;
use link::{hub::Hub, worker::LinkWatch};
use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};
use provisioning::NodeHandle;
use requests::Requests;
use samples::Samples;
use std::{sync::Arc, time::SystemTime};

/// What there is to be measured in this process.
#[derive(Default)]
pub struct MetricSources {
    /// The core, of a control plane.
    pub control: Option<Control>,
    /// The engine of the node in this process.
    pub engine: Option<NodeHandle>,
    /// The workers' connections, of a control plane with workers.
    pub hub: Option<Hub>,
    /// The link to the control planes, of a worker.
    pub link: Option<LinkWatch>,
}

/// The metrics of this process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Parts>);

struct Parts {
    sources: MetricSources,
    readiness: Readiness,
    requests: Requests,
    started: SystemTime,
}

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Format {
    /// Returns the format that a client accepts: OpenMetrics where it names it.
    fn accepted(headers: &HeaderMap) -> Self {
        let accept = headers.get_all(header::ACCEPT).iter();
        let mut accept = accept.filter_map(|value| value.to_str().ok());
        match accept.any(|value| value.contains("application/openmetrics-text")) {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// Returns the media type.
    const fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        })
    }
}

impl Metrics {
    /// Begins to count.
    pub fn new(sources: MetricSources, readiness: Readiness) -> Self {
        Self(Arc::new(Parts {
            sources,
            readiness,
            requests: Requests::default(),
            started: SystemTime::now(),
        }))
    }

    /// Returns where requests are counted.
    pub(crate) fn requests(&self) -> &Requests {
        &self.0.requests
    }

    /// Returns whether what this process depends on works.
    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Returns the metrics in the format that the client accepts, with its media type.
    pub(crate) async fn answer(&self, headers: &HeaderMap) -> (HeaderValue, String) {
        let format = Format::accepted(headers);
        (format.media_type(), self.text(format).await)
    }

    async fn text(&self, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.samples().await));
        let mut out = String::new();
        let written = match format {
            Format::OpenMetrics => text::encode(&mut out, &registry),
            Format::Prometheus => prometheus_text::encode(&mut out, &registry),
        };
        if let Err(e) = written {
            tracing::error!(error = %e, "the metrics cannot be written");
        }
        out
    }

    async fn samples(&self) -> Samples {
        let parts = &self.0;
        let mut samples = Samples::default();
        process::add_to(&mut samples, parts.started);
        let report = parts.readiness.report().await;
        samples.gauges(
            (
                "maliknode_dependency_ready",
                "Whether what this process needs works: 1 or 0",
            ),
            report.dependencies.iter().map(|(name, ready)| {
                let labels = vec![("dependency", (*name).to_owned())];
                (labels, f64::from(u8::from(*ready)))
            }),
        );
        parts.requests.add_to(&mut samples);
        if let Some(engine) = &parts.sources.engine {
            node::add_to(&mut samples, engine);
        }
        if let Some(control) = &parts.sources.control {
            installation::add_to(&mut samples, control).await;
        }
        if let Some(hub) = &parts.sources.hub {
            let named = (
                "maliknode_link_workers_connected",
                "Workers with a connection to this control plane",
            );
            samples.gauge(named, None, hub.connected() as f64);
        }
        if let Some(link) = &parts.sources.link {
            let named = (
                "maliknode_link_control_planes_connected",
                "Control planes that this worker has a connection to",
            );
            samples.gauge(named, None, link.connected() as f64);
        }
        samples
    }
}
