//! Reads what tenants use, in the background and with bounded work a second, and does
//! what [`DiskPolicy`] decides. A request reads only what was read last.

use super::{
    cpu::CpuHistory,
    disk_policy::{Action, DiskPolicy, INTERVAL},
    limits::DiskLimits,
    source::{ContainerUse, Resources},
};
use domain::{ErrorCode, Message, Problem, ResourceLimits, Slot, TenantName};
use protocol::{DiskSpace, EventKind, ResourceUsage};
use provisioning::{
    NodeHandle,
    ports::{PortError, PortResult},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{broadcast, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

/// The time between two steps of the measuring of files.
const STEP: Duration = Duration::from_millis(250);
/// A step measures one in so many tenants: all of them in six seconds. So a third of
/// the readings remains for those who grow fast.
const STEPS: usize = 25;
/// The fewest tenants that a step may measure.
const MIN_PER_STEP: usize = 5;
/// How many files and folders may be looked at in a step. Further tenants wait.
const ENTRIES_PER_STEP: u64 = 5_000;
/// How many trims and clearings run at the same time.
const MAX_ACTIONS: usize = 4;
/// The longest time that a reading, a trim or a clearing may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The connection table is not counted more often than this many times as long as
/// counting it took.
const MAX_COUNTING: u32 = 20;
/// How long a figure is reported while later readings fail.
const MAX_AGE: Duration = Duration::from_secs(60);
/// Events that wait for a slow reader: as many as there are tenants, twice.
const BUFFERED_EVENTS: usize = 2048;

/// What the containers used at some time. Those that are missing did not run.
type ContainersUsage = BTreeMap<Slot, ContainerUsage>;

#[derive(Debug)]
struct ContainerUsage {
    tenant: String,
    memory_bytes: u64,
    cpu: CpuHistory,
}

/// What was read last, with the time of the reading.
#[derive(Debug, Default)]
struct LastReadings {
    containers: Option<(Instant, ContainersUsage)>,
    connections: Option<(Instant, BTreeMap<Slot, u64>)>,
    space: Option<(Instant, DiskSpace)>,
}

/// See the module.
pub(crate) struct ResourceMeter {
    /// Where everything is read; without it, nothing is known.
    resources: Option<Arc<dyn Resources>>,
    engine: NodeHandle,
    policy: Mutex<DiskPolicy>,
    /// What each tenant may use.
    limits: ResourceLimits,
    last: Mutex<LastReadings>,
    /// Whether too little of the file system is free.
    low: watch::Sender<bool>,
    events: broadcast::Sender<EventKind>,
}

impl ResourceMeter {
    pub(crate) fn new(
        resources: Option<Arc<dyn Resources>>,
        disk: DiskLimits,
        limits: ResourceLimits,
        engine: NodeHandle,
    ) -> Self {
        Self {
            resources,
            engine,
            policy: Mutex::new(DiskPolicy::new(disk)),
            limits,
            last: Mutex::default(),
            low: watch::Sender::new(false),
            events: broadcast::Sender::new(BUFFERED_EVENTS),
        }
    }

    /// Returns the events from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<EventKind> {
        self.events.subscribe()
    }

    /// Returns a receiver that changes when [`problem`](Self::problem) does.
    pub(crate) fn problem_changes(&self) -> watch::Receiver<bool> {
        self.low.subscribe()
    }

    /// Returns the node's problem with the disk, if it has one.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let percent = u64::from(lock(&self.policy).limits().min_free_percent);
        self.low.borrow().then_some(Problem {
            code: ErrorCode::DiskLow,
            message: Message::DiskLow { percent },
        })
    }

    /// Returns the space of the tenants' file system, if it was read lately.
    pub(crate) fn space(&self) -> Option<DiskSpace> {
        recent(lock(&self.last).space.as_ref()).copied()
    }

    /// Returns what each tenant of the spec in force uses, as it was read last.
    ///
    /// # Errors
    /// `Busy` before there is a spec.
    pub(crate) fn report(&self) -> Result<Vec<ResourceUsage>, Problem> {
        let holders = self.engine.holders().ok_or(Problem {
            code: ErrorCode::Busy,
            message: Message::ResourcesUnmeasured,
        })?;
        let (policy, last) = (lock(&self.policy), lock(&self.last));
        let containers = recent(last.containers.as_ref());
        let connections = recent(last.connections.as_ref());
        let usage = |(slot, name): (Slot, TenantName)| {
            // `None`: unknown. `Some(None)`: it does not run.
            let container = containers.map(|all| {
                let of_slot = all.get(&slot);
                of_slot.filter(|c| c.tenant == name.as_str())
            });
            ResourceUsage {
                slot,
                disk_bytes: policy
                    .last(slot)
                    .filter(|(at, _)| at.elapsed() < MAX_AGE)
                    .map(|(_, bytes)| bytes),
                memory_bytes: container.map(|c| c.map_or(0, |c| c.memory_bytes)),
                cpu_percent: container.and_then(|c| c.map_or(Some(0.0), |c| c.cpu.percent())),
                connections: connections.map(|all| all.get(&slot).copied().unwrap_or(0)),
                limits: self.limits,
                name,
            }
        };
        Ok(holders.into_iter().map(usage).collect())
    }

    /// Reads and acts until dropped.
    pub(crate) async fn run(&self) {
        let Some(resources) = &self.resources else {
            return;
        };
        tokio::join!(
            self.watch_disk(resources),
            self.read_containers(resources.as_ref()),
            self.count_connections(resources.as_ref())
        );
    }

    async fn watch_disk(&self, resources: &Arc<dyn Resources>) {
        let mut ticks = ticks(STEP);
        let mut waiting = VecDeque::new();
        // Ended when it is dropped.
        let mut running = JoinSet::new();
        loop {
            ticks.tick().await;
            while let Some(ended) = running.try_join_next() {
                let (slot, freed): (Option<Slot>, u64) = ended.unwrap_or_default();
                let action = slot.and_then(|s| lock(&self.policy).freed(s, freed, Instant::now()));
                self.take(action, &mut waiting);
            }
            // Before there is a spec, it is not known whose files there are.
            if let Some(holders) = self.engine.holders() {
                lock(&self.policy).set_tenants(&holders, Instant::now());
                self.measure(resources.as_ref(), &mut waiting).await;
            }
            self.engine.set_disk_holds(lock(&self.policy).holds());
            while running.len() < MAX_ACTIONS
                && let Some(action) = waiting.pop_front()
            {
                running.spawn(act(resources.clone(), self.engine.clone(), action));
            }
        }
    }

    /// Reads the file system, and the tenants that are due, as far as a step allows.
    async fn measure(&self, resources: &dyn Resources, waiting: &mut VecDeque<Action>) {
        self.read_space(resources, waiting).await;
        let due = {
            let policy = lock(&self.policy);
            let most = policy.len().div_ceil(STEPS).max(MIN_PER_STEP);
            policy.due(Instant::now(), most)
        };
        let mut entries = 0;
        for (slot, name) in due {
            if entries >= ENTRIES_PER_STEP {
                break;
            }
            let bytes = match bounded(resources.disk(&name)).await {
                Ok(read) => {
                    entries += read.entries;
                    Some(read.bytes)
                }
                Err(e) => {
                    tracing::warn!(%name, code = %e.code, error = %e, cause = ?e.cause, "a tenant's files cannot be measured");
                    None
                }
            };
            let actions = lock(&self.policy).measured(slot, bytes, Instant::now());
            self.take(actions, waiting);
        }
    }

    async fn read_space(&self, resources: &dyn Resources, waiting: &mut VecDeque<Action>) {
        let read = match bounded(resources.file_system()).await {
            Ok(read) => read,
            Err(e) => {
                // What is unknown is neither low nor enough: everything stays.
                tracing::debug!(code = %e.code, error = %e, cause = ?e.cause, "the free disk cannot be read");
                return;
            }
        };
        let now = Instant::now();
        let (space, actions) = lock(&self.policy).space(read.total, read.available, now);
        lock(&self.last).space = Some((now, space));
        let changed = |low: &mut bool| std::mem::replace(low, space.low) != space.low;
        if self.low.send_if_modified(changed) {
            let (low, available) = (space.low, space.available);
            tracing::warn!(low, available, "the free disk crossed its limit");
        }
        self.take(actions, waiting);
    }

    /// Sends events, and lets the rest wait.
    fn take(&self, actions: impl IntoIterator<Item = Action>, waiting: &mut VecDeque<Action>) {
        for action in actions {
            match action {
                Action::Report(event) => {
                    tracing::info!(what = event.code(), "disk: {}", event.message());
                    // Having no receiver is not an error: it is logged.
                    let _ = self.events.send(event);
                }
                other => waiting.push_back(other),
            }
        }
    }

    async fn read_containers(&self, resources: &dyn Resources) {
        let mut ticks = ticks(INTERVAL);
        loop {
            ticks.tick().await;
            let began = Instant::now();
            match bounded(resources.containers()).await {
                Ok(read) => self.apply_containers(read, began),
                Err(e) => {
                    tracing::debug!(code = %e.code, error = %e, cause = ?e.cause, "what containers use cannot be read");
                }
            }
        }
    }

    fn apply_containers(&self, read: Vec<ContainerUse>, began: Instant) {
        let running: BTreeSet<Slot> = read.iter().map(|c| c.slot).collect();
        let mut last = lock(&self.last);
        let before = last.containers.take();
        let mut before = before.map(|(_, all)| all).unwrap_or_default();
        let mut now = ContainersUsage::new();
        for c in read {
            let known = before.remove(&c.slot).map(|known| known.cpu);
            let mut cpu = known.unwrap_or_else(|| CpuHistory::new(c.id.clone()));
            if let Some(used) = c.cpu {
                cpu.add(&c.id, began, used);
            }
            let usage = ContainerUsage {
                tenant: c.tenant,
                memory_bytes: c.memory_bytes,
                cpu,
            };
            now.insert(c.slot, usage);
        }
        last.containers = Some((began, now));
        drop(last);
        lock(&self.policy).running(&running, began);
    }

    async fn count_connections(&self, resources: &dyn Resources) {
        loop {
            let began = Instant::now();
            match bounded(resources.connections()).await {
                Ok(read) => lock(&self.last).connections = Some((began, read)),
                Err(e) => {
                    tracing::debug!(code = %e.code, error = %e, cause = ?e.cause, "connections cannot be counted");
                }
            }
            let pause = (began.elapsed() * MAX_COUNTING).max(INTERVAL);
            tokio::time::sleep_until(began + pause).await;
        }
    }
}

/// Does what is to be done. Returns the slot and how many bytes that freed.
async fn act(
    resources: Arc<dyn Resources>,
    engine: NodeHandle,
    action: Action,
) -> (Option<Slot>, u64) {
    let (slot, name) = match &action {
        Action::Trim(slot, name) | Action::Clear(slot, name) | Action::DropLists(slot, name) => {
            (*slot, name)
        }
        Action::Report(_) => return (None, 0),
    };
    // One that left, or is suspended meanwhile, is not touched.
    let Some(dns) = engine.dns(slot, name) else {
        return (Some(slot), 0);
    };
    let freed = match &action {
        Action::Clear(..) => bounded(resources.clear(&dns)).await,
        Action::DropLists(..) => bounded(resources.drop_lists(&dns)).await,
        Action::Trim(..) | Action::Report(_) => bounded(resources.trim(&dns)).await,
    };
    let freed = freed.unwrap_or_else(|e| {
        tracing::warn!(%name, code = %e.code, error = %e, cause = ?e.cause, "the disk could not be freed");
        0
    });
    (Some(slot), freed)
}

async fn bounded<T>(call: impl Future<Output = PortResult<T>>) -> PortResult<T> {
    let timed_out = || {
        let seconds = TIMEOUT.as_secs();
        let message = Message::ResourceReadTimedOut { seconds };
        PortError::new(ErrorCode::DiskUnavailable, message)
    };
    let ended = tokio::time::timeout(TIMEOUT, call).await;
    ended.unwrap_or_else(|_| Err(timed_out()))
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Returns a reading unless it is too old.
fn recent<T>(reading: Option<&(Instant, T)>) -> Option<&T> {
    let recent = reading.filter(|(at, _)| at.elapsed() < MAX_AGE);
    recent.map(|(_, value)| value)
}

/// Locks a value that is valid after any panic: every change of it is complete.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
