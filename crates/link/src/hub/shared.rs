//! What the parts of the hub share: the registry, and an entry for each worker.

use super::{
    connection::CallConnection, events::Events, registry::Registry, reported_state::ReportedState,
    spec_cache::SpecCache,
};
use domain::{Clock, NodeId, Problem, TenantName};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

/// The most whole specs that are written or sent at a time. One takes 20 MB.
const MAX_WHOLE_SPECS: usize = 4;

/// What the hub knows of a worker.
pub(super) struct WorkerEntry {
    pub node: NodeId,
    pub state: ReportedState,
    pub specs: SpecCache,
    /// Counts the hints that the spec may have changed.
    pub nudges: watch::Sender<u64>,
    /// Held while a new connection is compared with the present one.
    pub arrivals: tokio::sync::Mutex<Arrivals>,
    connection: Mutex<Option<Arc<CallConnection>>>,
}

/// How often a copy of a worker is reported at most.
const COPY_INTERVAL: Duration = Duration::from_secs(600);

/// What is remembered of earlier connections.
#[derive(Default)]
pub(super) struct Arrivals {
    /// When it was reported last that there is a copy of the worker.
    copy_reported: Option<Instant>,
}

impl Arrivals {
    /// Returns whether a copy of the worker is to be reported now.
    pub fn is_copy_due(&mut self) -> bool {
        let now = Instant::now();
        let reported = self.copy_reported;
        let is_due = reported.is_none_or(|at| now.duration_since(at) >= COPY_INTERVAL);
        if is_due {
            self.copy_reported = Some(now);
        }
        is_due
    }
}

impl WorkerEntry {
    fn connection(&self) -> MutexGuard<'_, Option<Arc<CallConnection>>> {
        // Every change is one assignment.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection for calls, if there is one.
    pub fn connected(&self) -> Option<Arc<CallConnection>> {
        self.connection().clone()
    }

    /// Uses this connection from now on; the one before ends.
    pub fn connect(&self, connection: Arc<CallConnection>) {
        let before = self.connection().replace(connection);
        if let Some(before) = before {
            before.end();
        }
    }

    /// Forgets this connection, unless there is a newer one.
    pub fn disconnect(&self, ended: &Arc<CallConnection>) {
        let mut connection = self.connection();
        if connection.as_ref().is_some_and(|c| Arc::ptr_eq(c, ended)) {
            *connection = None;
        }
    }

    /// Wakes the worker's query for its spec.
    pub fn nudge(&self) {
        self.nudges
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Loads the spec if none is cached.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub async fn ensure_spec(&self) -> Result<(), Problem> {
        match self.specs.generation() {
            Some(_) => Ok(()),
            None => self.specs.load(0).await.map(drop),
        }
    }
}

/// What every part of the hub uses.
pub(super) struct Shared {
    pub registry: Arc<dyn Registry>,
    pub clock: Arc<dyn Clock>,
    pub events: Events,
    pub whole_specs: Arc<Semaphore>,
    workers: Mutex<BTreeMap<NodeId, Arc<WorkerEntry>>>,
}

impl Shared {
    pub fn new(registry: Arc<dyn Registry>, clock: Arc<dyn Clock>) -> Self {
        Self {
            registry,
            clock,
            events: Events::default(),
            whole_specs: Arc::new(Semaphore::new(MAX_WHOLE_SPECS)),
            workers: Mutex::default(),
        }
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<WorkerEntry>>> {
        // Every change is one insertion.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the entry of a node, made if there was none.
    pub fn worker(&self, node: NodeId) -> Arc<WorkerEntry> {
        let new = || {
            Arc::new(WorkerEntry {
                node,
                state: ReportedState::default(),
                specs: SpecCache::new(self.registry.feed(node)),
                nudges: watch::Sender::default(),
                arrivals: tokio::sync::Mutex::default(),
                connection: Mutex::default(),
            })
        };
        self.workers().entry(node).or_insert_with(new).clone()
    }

    /// Returns the entry of a node, if there is one.
    pub fn known(&self, node: NodeId) -> Option<Arc<WorkerEntry>> {
        self.workers().get(&node).cloned()
    }

    /// Returns the nodes of which something has been heard.
    pub fn reporting(&self) -> Vec<NodeId> {
        let workers = self.workers();
        let reporting = workers.values().filter(|worker| worker.state.is_known());
        reporting.map(|worker| worker.node).collect()
    }

    /// Returns whether another worker has a tenant of this name.
    pub fn is_elsewhere(&self, node: NodeId, name: &TenantName) -> bool {
        let workers: Vec<_> = self.workers().values().cloned().collect();
        let mut others = workers.iter().filter(|worker| worker.node != node);
        others.any(|worker| worker.specs.has_tenant(name))
    }
}
