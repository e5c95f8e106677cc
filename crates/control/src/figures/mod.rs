//! Figures of the whole installation, for the operator's metrics. They contain no tenant and no
//! name, and reading them costs the same however often it is done: they are read again at
//! most every [`MAX_AGE`], of one query and of what this control plane has in memory.

mod cache;
mod counters;
mod pending;

pub(crate) use cache::FiguresCache;
pub use cache::InstallationFigures;
pub(crate) use counters::Counters;
pub use counters::{ActivityFigures, Outcome};
pub use pending::PendingFigures;

use crate::{
    inner::Inner,
    nodes::{KnownNode, MAX_SILENCE_MILLIS},
};
use domain::{NodeStanding, Part, QuotaState, Timestamp, view::ONLINE_MILLIS};
use pending::PendingChanges;
use protocol::{Location, Nodes};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{InstallationCounts, MailCounts, StoreError, TenantState};
use tokio::time::Instant;

/// How old the figures may be.
const MAX_AGE: Duration = Duration::from_secs(15);
/// How long the database may take for them; a scrape waits 10 s by default.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// The handle on the figures of the installation.
#[derive(Clone, Copy)]
pub struct Figures<'a>(pub(crate) &'a Inner);

impl Figures<'_> {
    /// Returns what people did at this control plane.
    pub fn activity(self) -> ActivityFigures {
        self.0.counters.figures()
    }

    /// Counts the mails that wait and those that were given up; `None` while the database does
    /// not answer.
    pub async fn mail(self) -> Option<MailCounts> {
        let counts = self.0.store.mail_counts(self.0.clock.now());
        let counts = tokio::time::timeout(QUERY_TIMEOUT, counts).await;
        counts.ok()?.ok()
    }

    /// Returns the figures of the installation, 15 s old at most; `None` while the database
    /// does not answer.
    pub async fn installation(self) -> Option<Arc<InstallationFigures>> {
        let mut cached = self.0.figures.0.lock().await;
        if let Some((at, figures)) = &cached.last
            && at.elapsed() < MAX_AGE
        {
            return figures.clone();
        }
        let made = self.make(&mut cached.pending).await;
        if let Err(e) = &made {
            tracing::warn!(error = ?e, "the figures for metrics could not be read");
        }
        let figures = made.ok().map(Arc::new);
        cached.last = Some((Instant::now(), figures.clone()));
        figures
    }

    async fn make(self, pending: &mut PendingChanges) -> Result<InstallationFigures, StoreError> {
        let inner = self.0;
        let read =
            async { tokio::try_join!(inner.store.installation_counts(), inner.known_nodes()) };
        let read = tokio::time::timeout(QUERY_TIMEOUT, read).await;
        let (counts, known) = read.map_err(|_| StoreError::TimedOut)??;
        let now = inner.clock.now();
        let mut figures = of_counts(&counts);
        figures.online_devices = inner.meter.online(now.plus_millis(-ONLINE_MILLIS));
        let is_open = known.iter().any(KnownNode::takes_tenants);
        for state in ["up", "closed", "silent", "revoked"] {
            figures.nodes.insert(state, 0);
        }
        for node in &known {
            *figures.nodes.entry(state_of(node, now)).or_default() += 1;
            figures.node_problems += node.problems(now, is_open).len() as u64;
            if node.is_open() {
                figures.free_places += u64::from(node.view.more);
            }
        }
        let generations = known.iter().filter_map(|node| {
            let saved = counts.generations.get(&node.record.id)?;
            let reported = inner.nodes.node(node.record.id).map(|s| s.generation);
            let has_any = node.record.tenants > 0 || reported.is_some();
            has_any.then_some((node.record.id, *saved, reported.unwrap_or_default()))
        });
        figures.pending = pending.update(generations, Instant::now());
        figures.parts = parts(inner.nodes.as_ref(), &known);
        Ok(figures)
    }
}

fn of_counts(counts: &InstallationCounts) -> InstallationFigures {
    let mut figures = InstallationFigures {
        devices: counts.devices,
        moves: counts.moves,
        ..InstallationFigures::default()
    };
    for state in QuotaState::ALL {
        figures.quotas.insert(state.as_str(), 0);
    }
    for (state, quota, count) in &counts.tenants {
        match state {
            TenantState::Active => figures.active_tenants += count,
            TenantState::Suspended => figures.suspended_tenants += count,
        }
        *figures.quotas.entry(quota.as_str()).or_default() += count;
    }
    figures
}

fn state_of(node: &KnownNode, now: Timestamp) -> &'static str {
    let heard = node.record.last_heard;
    let is_silent = heard.is_none_or(|at| now.millis_since(at) > MAX_SILENCE_MILLIS);
    match node.record.standing {
        NodeStanding::Revoked => "revoked",
        _ if !node.is_local && is_silent => "silent",
        NodeStanding::Closed => "closed",
        _ => "up",
    }
}

/// Counts the tenants' parts by state, of what the nodes have reported.
fn parts(nodes: &dyn Nodes, known: &[KnownNode]) -> BTreeMap<(&'static str, &'static str), u64> {
    let mut parts = BTreeMap::new();
    for part in ["firewall", "tunnel", "dns"] {
        for state in ["waiting", "working", "ready", "problem"] {
            parts.insert((part, state), 0);
        }
    }
    for node in known.iter().map(|known| known.record.id) {
        for slot in nodes.used_slots(node) {
            let Some(state) = nodes.tenant(Location { node, slot }) else {
                continue;
            };
            let status = &state.status;
            for (part, state) in [
                ("firewall", &status.firewall),
                ("tunnel", &status.tunnel),
                ("dns", &status.dns),
            ] {
                *parts.entry((part, part_state(state))).or_default() += 1;
            }
        }
    }
    parts
}

const fn part_state<P>(part: &Part<P>) -> &'static str {
    match part {
        Part::Waiting => "waiting",
        Part::Working => "working",
        Part::Ready { .. } => "ready",
        Part::Problem(_) => "problem",
    }
}
