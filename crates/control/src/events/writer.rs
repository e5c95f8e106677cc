//! Writes the event log in batches.
//!
//! Recording an event waits for nothing: it goes into a bounded queue, and a
//! task of its own writes it. While the database is away the queue fills;
//! events beyond its bound are counted, and the log says how many. A process
//! that dies loses the events of its last second; the program's own log has
//! them. A batch whose answer was lost may be written twice.
//!
//! Of several control planes each learns of the events of the nodes that it hears, and one
//! writes them ([`Leases`]). The others keep those of the last 20 s ([`HandOver`]): the one
//! that goes on where another died writes what that one may not have written. So an event
//! around a death is written twice rather than never.

use super::{Timing, failure_tracker::FailureTracker, hand_over::HandOver, record};
use crate::{
    control_planes::{Leases, Side},
    nodes::worker_problem,
};
use domain::{Clock, NodeId, Slot};
use futures_util::{StreamExt, stream::BoxStream};
use protocol::{EventKind, Nodes, Reported};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{NewEvent, NodeRecord, Store};
use tokio::{sync::Notify, time::Instant};

/// Most events that wait to be written.
pub(super) const MAX_PENDING: usize = 4_096;
/// Most events written in one transaction. Other writers wait a few hundredths
/// of a second behind it.
pub(super) const MAX_BATCH: usize = 1_000;
/// How long a check waits for the database.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// Number of remembered drifts above which those older than
/// [`Timing::min_interval`] are forgotten.
const MAX_REMEMBERED: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) pending: VecDeque<(NodeId, NewEvent)>,
    /// Events that did not fit, or were missed, by node.
    pub(super) lost: BTreeMap<NodeId, u64>,
}

/// Turns what the nodes report into events and writes them.
pub(crate) struct EventWriter {
    store: Store,
    nodes: Arc<dyn Nodes>,
    clock: Arc<dyn Clock>,
    leases: Arc<Leases>,
    pub(super) timing: Timing,
    /// What is reported from the beginning on, until [`EventWriter::run`] takes it:
    /// a node may have something to report before that.
    reports: Mutex<Option<BoxStream<'static, Reported>>>,
    queue: Mutex<Queue>,
    /// Events that another control plane writes, or may write.
    hand_over: Mutex<HandOver>,
    due: Notify,
}

impl EventWriter {
    pub(crate) fn new(
        store: Store,
        nodes: Arc<dyn Nodes>,
        clock: Arc<dyn Clock>,
        leases: Arc<Leases>,
        timing: Timing,
    ) -> Self {
        Self {
            reports: Mutex::new(Some(nodes.events())),
            store,
            nodes,
            clock,
            leases,
            timing,
            queue: Mutex::default(),
            hand_over: Mutex::default(),
            due: Notify::new(),
        }
    }

    /// Records and writes events until dropped.
    pub(crate) async fn run(&self) {
        let first = self.reports.lock();
        let first = first.unwrap_or_else(PoisonError::into_inner).take();
        let reports = first.unwrap_or_else(|| self.nodes.events());
        tokio::join!(
            self.record_reports(reports),
            self.record_failures(),
            self.take_over(),
            self.write_when_due()
        );
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event of a node: writes it, or keeps it in case that the control plane dies
    /// that writes it.
    fn take(&self, node: NodeId, event: NewEvent) {
        match self.leases.side(node) {
            Side::Own { .. } => self.push(node, event),
            Side::Other | Side::Unknown => self.hand_over().add(node, event),
        }
    }

    fn hand_over(&self) -> MutexGuard<'_, HandOver> {
        let hand_over = self.hand_over.lock();
        hand_over.unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was kept of nodes that are this control plane's from now on.
    async fn take_over(&self) {
        let mut renewals = self.leases.renewals();
        loop {
            let taken = self.hand_over().settle(|node| self.leases.side(node));
            for (node, event) in taken {
                self.push(node, event);
            }
            if renewals.changed().await.is_err() {
                return;
            }
        }
    }

    fn push(&self, node: NodeId, event: NewEvent) {
        let mut queue = self.queue();
        if queue.pending.len() < MAX_PENDING {
            queue.pending.push_back((node, event));
        } else {
            *queue.lost.entry(node).or_default() += 1;
        }
        drop(queue);
        self.due.notify_one();
    }

    fn count_lost(&self, node: NodeId, count: u64) {
        if !self.leases.is_own(node) {
            return;
        }
        *self.queue().lost.entry(node).or_default() += count;
        self.due.notify_one();
    }

    /// Records events as they are reported. A repeated drift of the same tenant is
    /// left out for a while, because its cause may run in a loop.
    pub(super) async fn record_reports(&self, mut reports: BoxStream<'static, Reported>) {
        let mut drifts: HashMap<(NodeId, Option<Slot>, &str), Instant> = HashMap::new();
        let min_interval = self.timing.min_interval;
        while let Some(report) = reports.next().await {
            match report {
                Reported::Event { node, event } => {
                    if let EventKind::Drift { tenant, drift } = &event {
                        let now = Instant::now();
                        if drifts.len() >= MAX_REMEMBERED {
                            drifts.retain(|_, at| now - *at < min_interval);
                        }
                        let key = (node, tenant.as_ref().map(|t| t.slot), drift.code());
                        let last = drifts.get(&key);
                        if last.is_some_and(|at| now - *at < min_interval) {
                            continue;
                        }
                        drifts.insert(key, now);
                    }
                    self.take(node, record::row(&event, self.clock.now()));
                }
                Reported::Missed { node, count } => self.count_lost(node, count),
            }
        }
    }

    /// Checks the nodes at intervals, and records what has been failing for a
    /// while and what has recovered.
    async fn record_failures(&self) {
        let mut tracker = FailureTracker::new(self.timing);
        let mut workers = Vec::new();
        let mut ticks = tokio::time::interval(self.timing.check);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.read_workers(&mut workers).await;
            let nodes = self.nodes.ids().into_iter();
            let nodes: BTreeSet<_> = nodes.chain(workers.iter().map(|w| w.id)).collect();
            for node in nodes {
                let (now, wall) = (Instant::now(), self.clock.now());
                let worker = workers.iter().find(|w| w.id == node);
                let known = worker.and_then(|w| worker_problem(w, wall));
                let events = tracker.check(self.nodes.as_ref(), node, known, now, wall);
                events.into_iter().for_each(|event| self.take(node, event));
            }
        }
    }

    /// Reads what the database remembers of the workers. Where it does not answer at
    /// once, what was read before stays.
    async fn read_workers(&self, workers: &mut Vec<NodeRecord>) {
        let read = tokio::time::timeout(READ_TIMEOUT, self.store.nodes()).await;
        if let Ok(Ok(nodes)) = read {
            *workers = nodes.into_iter().filter(NodeRecord::is_worker).collect();
        }
    }

    pub(super) async fn write_when_due(&self) {
        loop {
            self.due.notified().await;
            tokio::time::sleep(self.timing.gather).await;
            self.write_pending().await;
        }
    }

    /// Writes everything that waits in the queue.
    pub(crate) async fn write_pending(&self) {
        loop {
            let batch = self.next_batch();
            if batch.is_empty() {
                return;
            }
            for (node, events) in &batch {
                self.write(*node, events).await;
            }
        }
    }

    /// Takes the next batch from the queue, by node. The last batch ends with the
    /// number of each node's lost events, if there are any.
    pub(super) fn next_batch(&self) -> BTreeMap<NodeId, Vec<NewEvent>> {
        let mut queue = self.queue();
        let count = queue.pending.len().min(MAX_BATCH);
        let mut batch = BTreeMap::<_, Vec<_>>::new();
        for (node, event) in queue.pending.drain(..count) {
            batch.entry(node).or_default().push(event);
        }
        if queue.pending.is_empty() {
            for (node, count) in std::mem::take(&mut queue.lost) {
                let lost = record::row(&EventKind::EventsLost { count }, self.clock.now());
                batch.entry(node).or_default().push(lost);
            }
        }
        batch
    }

    /// Writes a node's events, however long the database is away. A batch that the
    /// database rejects is dropped: it would be rejected again.
    pub(super) async fn write(&self, node: NodeId, batch: &[NewEvent]) {
        let mut is_first_failure = true;
        loop {
            let error = match self.store.record_events(node, batch).await {
                Ok(()) => return,
                Err(e) => e,
            };
            if !error.is_outage() {
                let events = batch.len();
                tracing::error!(?error, events, "events could not be written");
                return;
            }
            if std::mem::take(&mut is_first_failure) {
                tracing::warn!(?error, "events cannot be written now; they wait in memory");
            }
            tokio::time::sleep(self.timing.retry).await;
        }
    }
}
