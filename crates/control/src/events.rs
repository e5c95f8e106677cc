//! The event log's writer: what another hand did to the machine, and which
//! parts failed and came back, put into the database in batches.
//!
//! Taking note waits for nobody: what is found goes into a queue with a bound,
//! and a task of its own writes it. While the database is away the queue fills;
//! what no longer fits is counted, and the log says how many. A process that
//! dies loses what was found in its last second; the program's own log has it.
//! A batch whose answer was lost may be written twice.

#[cfg(test)]
mod tests;
mod troubles;
mod view;
mod words;

pub(crate) use view::{OF_ALL, to_operator};

use domain::{NodeId, Slot};
use provisioning::{Clock, NodeHandle, drift::Drift};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{NewEvent, Store};
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};
use troubles::Troubles;

/// Events that wait to be written.
const WAITING: usize = 4_096;
/// Events written in one transaction: other writers wait a few hundredths of a
/// second behind it.
const BATCH: usize = 1_000;
/// Findings remembered, so as not to tell them again at once.
const REMEMBERED: usize = 20_000;

/// How fast things are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// What comes within this joins one transaction.
    pub gather: Duration,
    /// Between two tries at a database that is away.
    pub retry: Duration,
    /// Between two looks at the tenants' parts and the node's problems.
    pub look: Duration,
    /// How long something fails, or works again, before that is told.
    pub lasting: Duration,
    /// Between two events of one thing.
    pub apart: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(500),
            retry: Duration::from_secs(10),
            look: Duration::from_secs(5),
            lasting: Duration::from_secs(10),
            apart: Duration::from_secs(60),
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<NewEvent>,
    /// Events that had no place, or were missed.
    lost: u64,
}

/// See the module.
pub(crate) struct Recorder {
    store: Store,
    handle: NodeHandle,
    clock: Arc<dyn Clock>,
    node: NodeId,
    pace: Pace,
    queue: Mutex<Queue>,
    due: Notify,
}

impl Recorder {
    pub(crate) fn new(
        store: Store,
        handle: NodeHandle,
        clock: Arc<dyn Clock>,
        node: NodeId,
        pace: Pace,
    ) -> Self {
        Self {
            store,
            handle,
            clock,
            node,
            pace,
            queue: Mutex::default(),
            due: Notify::new(),
        }
    }

    /// Takes note and writes for ever.
    pub(crate) async fn run(&self) {
        let drifts = self.handle.drifts();
        tokio::join!(self.takes(drifts), self.looks(), self.writes());
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, event: NewEvent) {
        let mut queue = self.queue();
        if queue.waiting.len() < WAITING {
            queue.waiting.push_back(event);
        } else {
            queue.lost += 1;
        }
        drop(queue);
        self.due.notify_one();
    }

    fn lose(&self, count: u64) {
        self.queue().lost += count;
        self.due.notify_one();
    }

    /// Takes findings as they come. The same one of the same tenant again is
    /// left out for a while: somebody may do it in a loop.
    async fn takes(&self, mut drifts: broadcast::Receiver<Drift>) {
        let mut told: HashMap<(Option<Slot>, &str), Instant> = HashMap::new();
        loop {
            match drifts.recv().await {
                Ok(found) => {
                    let now = Instant::now();
                    if told.len() >= REMEMBERED {
                        told.retain(|_, at| now - *at < self.pace.apart);
                    }
                    let slot = found.tenant.as_ref().map(|(slot, _)| *slot);
                    let key = (slot, found.what.code());
                    let last = told.get(&key);
                    if last.is_none_or(|at| now - *at >= self.pace.apart) {
                        told.insert(key, now);
                        self.put(words::found(&found, self.clock.now()));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => self.lose(missed),
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// Looks at the node from time to time, and tells what has failed for some
    /// time and what has come back.
    async fn looks(&self) {
        let mut troubles = Troubles::new(self.pace);
        let mut looks = tokio::time::interval(self.pace.look);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            looks.tick().await;
            let told = troubles.look(&self.handle, Instant::now(), self.clock.now());
            told.into_iter().for_each(|event| self.put(event));
        }
    }

    async fn writes(&self) {
        loop {
            self.due.notified().await;
            tokio::time::sleep(self.pace.gather).await;
            loop {
                let batch = self.take();
                if batch.is_empty() {
                    break;
                }
                self.write(&batch).await;
            }
        }
    }

    /// What is written next; behind the last of it, how many are missing.
    fn take(&self) -> Vec<NewEvent> {
        let mut queue = self.queue();
        let count = queue.waiting.len().min(BATCH);
        let mut batch: Vec<_> = queue.waiting.drain(..count).collect();
        if queue.waiting.is_empty() && queue.lost > 0 {
            batch.push(words::lost(
                std::mem::take(&mut queue.lost),
                self.clock.now(),
            ));
        }
        batch
    }

    /// Writes a batch, however long the database takes. One that the database
    /// takes for wrong is given up: it would be wrong again.
    async fn write(&self, batch: &[NewEvent]) {
        let mut tries = 0_u32;
        loop {
            let error = match self.store.record_events(self.node, batch).await {
                Ok(()) => return,
                Err(e) => e,
            };
            if !error.is_outage() {
                let events = batch.len();
                tracing::error!(?error, events, "events could not be written down");
                return;
            }
            if tries == 0 {
                tracing::warn!(?error, "events cannot be written down; they are kept");
            }
            tries = tries.saturating_add(1);
            tokio::time::sleep(self.pace.retry).await;
        }
    }
}
