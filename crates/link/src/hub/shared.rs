//! What the parts of the hub share: the registry, and an entry for each worker.

use super::{
    clock_offset::ClockOffset,
    connection::CallConnection,
    events::Events,
    registry::Registry,
    reported_state::ReportedState,
    spec_cache::{SpecCache, WholeSpecs},
};
use domain::{Clock, NodeId, TenantName};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// The most whole specs that are read, and that are written or sent, at a time. One takes
/// 20 MB.
const MAX_WHOLE_SPECS: usize = 4;

/// What the hub knows of a worker.
pub(super) struct WorkerEntry {
    pub node: NodeId,
    pub state: ReportedState,
    pub specs: SpecCache,
    /// Counts the hints that the spec may have changed, for the worker's question.
    pub nudges: watch::Sender<u64>,
    /// Counts those that came while its question was not here.
    pub distant_nudges: watch::Sender<u64>,
    /// How its clock differs from the one here.
    pub clock_offset: ClockOffset,
    /// Held while a new connection is compared with the present one.
    pub arrivals: tokio::sync::Mutex<Arrivals>,
    /// Counts the worker's questions.
    queries: AtomicU64,
    /// Whether it is looked whether the worker asks again.
    is_awaited: AtomicBool,
    connection: Mutex<Option<Arc<CallConnection>>>,
}

/// How long a worker may take to ask again, once its question was answered. A whole spec of
/// 1,000 tenants takes longer, and then one nudge more costs a question that has no answer.
const REPLY_TIME: Duration = Duration::from_secs(1);

fn count(nudges: &watch::Sender<u64>) {
    nudges.send_modify(|count| *count = count.wrapping_add(1));
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

    /// Makes the worker ask for its spec: its question is answered, if it is here. If it is
    /// not, the worker is told on the connection for calls; so it is if it does not ask again
    /// within [`REPLY_TIME`], because the question may be one of a connection that is dead.
    pub fn nudge(self: &Arc<Self>) {
        if self.nudges.receiver_count() == 0 {
            return count(&self.distant_nudges);
        }
        let queries = self.queries.load(Ordering::Relaxed);
        count(&self.nudges);
        // One look is enough for all nudges that come meanwhile.
        let runtime = tokio::runtime::Handle::try_current();
        if let Ok(runtime) = runtime
            && !self.is_awaited.swap(true, Ordering::Relaxed)
        {
            let worker = self.clone();
            runtime.spawn(async move {
                tokio::time::sleep(REPLY_TIME).await;
                worker.is_awaited.store(false, Ordering::Relaxed);
                if worker.queries.load(Ordering::Relaxed) == queries {
                    count(&worker.distant_nudges);
                }
            });
        }
    }

    /// Notes that the worker asks for its spec.
    pub fn note_query(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
    }
}

/// What every part of the hub uses.
pub(super) struct Shared {
    pub registry: Arc<dyn Registry>,
    pub clock: Arc<dyn Clock>,
    pub events: Events,
    whole_specs: WholeSpecs,
    workers: Mutex<BTreeMap<NodeId, Arc<WorkerEntry>>>,
}

impl Shared {
    pub fn new(registry: Arc<dyn Registry>, clock: Arc<dyn Clock>) -> Self {
        Self {
            registry,
            clock,
            events: Events::default(),
            whole_specs: WholeSpecs::new(MAX_WHOLE_SPECS),
            workers: Mutex::default(),
        }
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<WorkerEntry>>> {
        // Every change is one insertion.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spec_cache(&self, node: NodeId) -> SpecCache {
        SpecCache::new(node, self.registry.feed(node), self.whole_specs.clone())
    }

    /// Returns the entry of a node, made if there was none.
    pub fn worker(&self, node: NodeId) -> Arc<WorkerEntry> {
        let new = || {
            Arc::new(WorkerEntry {
                node,
                state: ReportedState::default(),
                specs: self.spec_cache(node),
                nudges: watch::Sender::default(),
                distant_nudges: watch::Sender::default(),
                clock_offset: ClockOffset::default(),
                arrivals: tokio::sync::Mutex::default(),
                queries: AtomicU64::default(),
                is_awaited: AtomicBool::default(),
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

    /// Returns how many workers have a connection for calls.
    pub fn connected(&self) -> usize {
        let workers = self.workers();
        workers.values().filter(|w| w.connected().is_some()).count()
    }

    /// Returns whether another worker has a tenant of this name.
    pub fn is_elsewhere(&self, node: NodeId, name: &TenantName) -> bool {
        let workers: Vec<_> = self.workers().values().cloned().collect();
        let mut others = workers.iter().filter(|worker| worker.node != node);
        others.any(|worker| worker.specs.has_tenant(name))
    }
}
