//! Whether what this process depends on works. The answer is some moments old at most, and a
//! thousand questions at once cost one check.

use domain::{ErrorCode, NodeId};
use link::worker::LinkWatch;
use protocol::Nodes;
use std::{sync::Arc, time::Duration};
use store::Store;
use tokio::{sync::Mutex, time::Instant};

/// How old an answer may be.
const MAX_AGE: Duration = Duration::from_secs(2);

/// What this process depends on.
#[derive(Clone, Default)]
pub struct Dependencies {
    /// The database, of a control plane.
    pub store: Option<Store>,
    /// The node in this process.
    pub node: Option<(NodeId, Arc<dyn Nodes>)>,
    /// The link to the control planes, of a worker.
    pub link: Option<LinkWatch>,
}

/// Whether each dependency works, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub dependencies: Vec<(&'static str, bool)>,
}

impl Report {
    /// Returns whether every dependency works.
    pub fn is_ready(&self) -> bool {
        self.dependencies.iter().all(|(_, ready)| *ready)
    }
}

/// Checks the dependencies when it is asked. Cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    dependencies: Dependencies,
    last: Mutex<Option<(Instant, Report)>>,
}

impl Readiness {
    /// Checks nothing yet.
    pub fn new(dependencies: Dependencies) -> Self {
        Self(Arc::new(Inner {
            dependencies,
            last: Mutex::default(),
        }))
    }

    /// Returns whether each dependency works.
    pub async fn report(&self) -> Report {
        // Who comes while a check runs waits for it, and gets its result.
        let mut last = self.0.last.lock().await;
        if let Some((at, report)) = last.as_ref()
            && at.elapsed() < MAX_AGE
        {
            return report.clone();
        }
        let report = self.0.dependencies.check().await;
        *last = Some((Instant::now(), report.clone()));
        report
    }
}

impl Dependencies {
    async fn check(&self) -> Report {
        let mut dependencies = Vec::new();
        if let Some(store) = &self.store {
            let health = store.health().await;
            if let Err(e) = &health {
                tracing::warn!(error = ?e, "not ready: the database");
            }
            dependencies.push(("database", health.is_ok()));
        }
        if let Some((node, nodes)) = &self.node {
            let state = nodes.node(*node);
            let problems: Vec<_> = state.iter().flat_map(|s| &s.problems).collect();
            let lacks = |codes: &[ErrorCode]| problems.iter().any(|p| codes.contains(&p.code));
            let has_spec = nodes.holders(*node).is_some();
            dependencies.push(("node", has_spec));
            for (name, codes) in [
                (
                    "docker",
                    &[ErrorCode::DockerUnavailable, ErrorCode::ImageMissing][..],
                ),
                (
                    "firewall",
                    &[
                        ErrorCode::FirewallUnavailable,
                        ErrorCode::ShapingUnavailable,
                    ],
                ),
                ("tunnels", &[ErrorCode::WireguardUnavailable]),
                ("disk", &[ErrorCode::DiskUnavailable, ErrorCode::DiskLow]),
            ] {
                dependencies.push((name, has_spec && !lacks(codes)));
            }
        }
        if let Some(link) = &self.link {
            dependencies.push(("control_plane", link.connected() > 0));
            dependencies.push(("certificate", link.is_certificate_valid()));
        }
        Report { dependencies }
    }
}
