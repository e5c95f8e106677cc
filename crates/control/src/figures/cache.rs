//! What the figures of an installation are, and the last ones.

use super::pending::{PendingChanges, PendingFigures};
use std::{collections::BTreeMap, sync::Arc};
use tokio::{sync::Mutex, time::Instant};

/// Figures of the whole installation, as this control plane sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstallationFigures {
    pub active_tenants: u64,
    pub suspended_tenants: u64,
    pub devices: u64,
    /// Devices with a handshake in the last 3 minutes, of the nodes that this control plane
    /// reads.
    pub online_devices: u64,
    /// Tenants by what follows from their data of the month.
    pub quotas: BTreeMap<&'static str, u64>,
    /// Moves of tenants that are not finished.
    pub moves: u64,
    /// Nodes: `up`, `closed` (takes no new tenant), `silent` or `revoked`.
    pub nodes: BTreeMap<&'static str, u64>,
    /// Problems of nodes as a whole.
    pub node_problems: u64,
    /// How many more tenants fit on the nodes that take some.
    pub free_places: u64,
    /// Tenants' parts (`firewall`, `tunnel`, `dns`) by state (`waiting`, `working`, `ready`,
    /// `problem`).
    pub parts: BTreeMap<(&'static str, &'static str), u64>,
    pub pending: PendingFigures,
}

/// The last figures.
#[derive(Debug, Default)]
pub(crate) struct FiguresCache(pub(super) Mutex<Cached>);

/// The last figures, and what later ones are compared with.
#[derive(Debug, Default)]
pub(crate) struct Cached {
    /// When they were made, and they; `None` where the database did not answer.
    pub(super) last: Option<(Instant, Option<Arc<InstallationFigures>>)>,
    pub(super) pending: PendingChanges,
}
