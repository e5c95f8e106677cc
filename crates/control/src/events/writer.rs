//! Writes the event log in batches.
//!
//! Recording an event waits for nothing: it goes into a bounded queue, and a
//! task of its own writes it. While the database is away the queue fills;
//! events beyond its bound are counted, and the log says how many. A process
//! that dies loses the events of its last second; the program's own log has
//! them. A batch whose answer was lost may be written twice.

use super::{Timing, failure_tracker::FailureTracker, record};
use domain::{NodeId, Slot};
use protocol::{EventKind, EventTenant};
use provisioning::{Clock, NodeHandle, drift::Drift};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use store::{NewEvent, Store};
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};

/// Most events that wait to be written.
pub(super) const MAX_PENDING: usize = 4_096;
/// Most events written in one transaction. Other writers wait a few hundredths
/// of a second behind it.
pub(super) const MAX_BATCH: usize = 1_000;
/// Number of remembered drifts above which those older than
/// [`Timing::min_interval`] are forgotten.
const MAX_REMEMBERED: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) pending: VecDeque<NewEvent>,
    /// Events that did not fit, or were missed.
    pub(super) lost: u64,
}

/// Turns what the node finds into events and writes them.
pub(crate) struct EventWriter {
    store: Store,
    handle: NodeHandle,
    clock: Arc<dyn Clock>,
    node: NodeId,
    pub(super) timing: Timing,
    queue: Mutex<Queue>,
    due: Notify,
}

impl EventWriter {
    pub(crate) fn new(
        store: Store,
        handle: NodeHandle,
        clock: Arc<dyn Clock>,
        node: NodeId,
        timing: Timing,
    ) -> Self {
        Self {
            store,
            handle,
            clock,
            node,
            timing,
            queue: Mutex::default(),
            due: Notify::new(),
        }
    }

    /// Records and writes events until dropped.
    pub(crate) async fn run(&self) {
        let drifts = self.handle.drifts();
        tokio::join!(
            self.record_drifts(drifts),
            self.record_failures(),
            self.write_when_due()
        );
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: NewEvent) {
        let mut queue = self.queue();
        if queue.pending.len() < MAX_PENDING {
            queue.pending.push_back(event);
        } else {
            queue.lost += 1;
        }
        drop(queue);
        self.due.notify_one();
    }

    fn count_lost(&self, count: u64) {
        self.queue().lost += count;
        self.due.notify_one();
    }

    /// Records drifts as they are found. A repeated drift of the same tenant is
    /// left out for a while, because its cause may run in a loop.
    pub(super) async fn record_drifts(&self, mut drifts: broadcast::Receiver<Drift>) {
        let mut recorded: HashMap<(Option<Slot>, &str), Instant> = HashMap::new();
        let min_interval = self.timing.min_interval;
        loop {
            match drifts.recv().await {
                Ok(drift) => {
                    let now = Instant::now();
                    if recorded.len() >= MAX_REMEMBERED {
                        recorded.retain(|_, at| now - *at < min_interval);
                    }
                    let slot = drift.tenant.as_ref().map(|(slot, _)| *slot);
                    let key = (slot, drift.kind.code());
                    let last = recorded.get(&key);
                    if last.is_none_or(|at| now - *at >= min_interval) {
                        recorded.insert(key, now);
                        let tenant = drift.tenant.map(|(slot, name)| EventTenant { slot, name });
                        let event = EventKind::Drift {
                            tenant,
                            drift: drift.kind,
                        };
                        self.push(record::row(&event, self.clock.now()));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => self.count_lost(missed),
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// Checks the node at intervals, and records what has been failing for a
    /// while and what has recovered.
    async fn record_failures(&self) {
        let mut tracker = FailureTracker::new(self.timing);
        let mut ticks = tokio::time::interval(self.timing.check);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let events = tracker.check(&self.handle, Instant::now(), self.clock.now());
            events.into_iter().for_each(|event| self.push(event));
        }
    }

    pub(super) async fn write_when_due(&self) {
        loop {
            self.due.notified().await;
            tokio::time::sleep(self.timing.gather).await;
            loop {
                let batch = self.next_batch();
                if batch.is_empty() {
                    break;
                }
                self.write(&batch).await;
            }
        }
    }

    /// Takes the next batch from the queue. The last batch ends with the number
    /// of lost events, if there are any.
    pub(super) fn next_batch(&self) -> Vec<NewEvent> {
        let mut queue = self.queue();
        let count = queue.pending.len().min(MAX_BATCH);
        let mut batch: Vec<_> = queue.pending.drain(..count).collect();
        if queue.pending.is_empty() && queue.lost > 0 {
            let count = std::mem::take(&mut queue.lost);
            batch.push(record::row(
                &EventKind::EventsLost { count },
                self.clock.now(),
            ));
        }
        batch
    }

    /// Writes a batch, however long the database is away. A batch that the
    /// database rejects is dropped: it would be rejected again.
    pub(super) async fn write(&self, batch: &[NewEvent]) {
        let mut is_first_failure = true;
        loop {
            let error = match self.store.record_events(self.node, batch).await {
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
