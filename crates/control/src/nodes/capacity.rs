//! How many more tenants fit. The memory is read in the background; a request
//! only reads a number. The number counts all tenants, and the store compares it
//! with its rows in the transaction that creates one, so that a hundred
//! concurrent sign-ups cannot all take the same capacity.

use domain::{ErrorCode, Message, Problem, Slot, view::CapacityView};
use provisioning::{
    NodeHandle, PortError,
    capacity::{CapacityEstimate, ContainerMemory, Memory, MemoryReading, estimate},
    ports::PortResult,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Time between two readings.
const INTERVAL: Duration = Duration::from_secs(20);
/// Longest time that a reading may take.
const READ_TIMEOUT: Duration = Duration::from_secs(45);
/// Time until the next reading while the node has no spec, or after a reading
/// failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// How long the last reading is used while later ones fail: Docker may be
/// restarting.
const MAX_AGE: Duration = Duration::from_secs(120);

/// How many tenants a node may hold, and who measures it.
#[derive(Clone, Default)]
pub struct CapacitySettings {
    /// Where the machine's memory is read; without it, slots alone decide.
    pub memory: Option<Arc<dyn Memory>>,
    /// Bytes to keep free; `None` means
    /// [`provisioning::capacity::default_reserve`].
    pub reserve: Option<u64>,
    /// The operator's limit on the number of tenants; `None` means as many as
    /// fit.
    pub max_tenants: Option<u32>,
}

impl std::fmt::Debug for CapacitySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CapacitySettings")
            .field("memory", &self.memory.is_some())
            .field("reserve", &self.reserve)
            .field("max_tenants", &self.max_tenants)
            .finish()
    }
}

#[derive(Debug, Default)]
struct LastReading {
    estimate: Option<(Instant, CapacityEstimate)>,
    /// Why the last reading failed.
    problem: Option<Problem>,
}

pub(crate) struct Capacity {
    settings: CapacitySettings,
    node: NodeHandle,
    last: Mutex<LastReading>,
}

impl Capacity {
    pub(crate) fn new(settings: CapacitySettings, node: NodeHandle) -> Self {
        Self {
            settings,
            node,
            last: Mutex::default(),
        }
    }

    fn last(&self) -> MutexGuard<'_, LastReading> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the memory at intervals until dropped.
    pub(crate) async fn run(&self) {
        let Some(memory) = &self.settings.memory else {
            return;
        };
        loop {
            let Some(holders) = self.node.holders() else {
                // Which containers belong to tenants is not known yet.
                tokio::time::sleep(RETRY_INTERVAL).await;
                continue;
            };
            let is_tenants = |c: &ContainerMemory| {
                let holder = c.slot.and_then(|slot| holders.get(&slot));
                holder.is_some_and(|name| name.as_str() == c.tenant)
            };
            let wait = match read(memory.as_ref()).await {
                Ok(reading) => {
                    let estimate = estimate(&reading, self.settings.reserve, is_tenants);
                    let mut last = self.last();
                    last.estimate = Some((Instant::now(), estimate));
                    if last.problem.take().is_some() {
                        tracing::info!("the memory can be read again");
                    }
                    INTERVAL
                }
                Err(e) => {
                    let mut last = self.last();
                    if last.problem.as_ref() != Some(&e.problem()) {
                        tracing::warn!(code = %e.code, error = %e, cause = ?e.cause, "what tenants cost could not be measured");
                    }
                    last.problem = Some(e.problem());
                    RETRY_INTERVAL
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Returns the last estimate; `None` if there is none that is recent enough.
    fn estimate(&self) -> Option<CapacityEstimate> {
        let (at, estimate) = self.last().estimate?;
        (at.elapsed() < MAX_AGE).then_some(estimate)
    }

    /// Returns how many tenants the node may hold in all; `None` means as many as
    /// it has slots.
    pub(crate) fn max_tenants(&self) -> Option<u32> {
        let memory = self.estimate().map(|e| e.max_tenants);
        memory.into_iter().chain(self.settings.max_tenants).min()
    }

    /// Returns how many more tenants fit beside those that hold these slots.
    /// `unusable` slots are not assigned, though a tenant may hold one already.
    pub(crate) fn view(&self, held: &BTreeSet<Slot>, unusable: &BTreeSet<Slot>) -> CapacityView {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let taken = count(held.union(unusable).count());
        let slots_free = u32::from(Slot::LAST.get()).saturating_sub(taken);
        let held = count(held.len());
        let below_limit = self
            .max_tenants()
            .map_or(u32::MAX, |max| max.saturating_sub(held));
        CapacityView {
            more: slots_free.min(below_limit),
            slots_free,
            memory: self.estimate().map(|e| e.view()),
            limit: self.settings.max_tenants,
        }
    }

    /// Returns whether no further tenant fits according to the node's last spec.
    /// This is for an early answer; the store decides.
    pub(crate) fn is_full(&self, unusable: &BTreeSet<Slot>) -> bool {
        self.view(&self.node.used_slots(), unusable).more == 0
    }

    /// Returns the problems for the operator: that the memory cannot be measured,
    /// and that the node is full and why.
    pub(crate) fn problems(&self, now: &CapacityView) -> Vec<Problem> {
        let problem = self.last().problem.clone();
        let unknown = problem.filter(|_| now.memory.is_none()).map(|p| Problem {
            code: ErrorCode::MemoryUnknown,
            message: Message::MemoryUnmeasured {
                reason: Box::new(p.message),
            },
        });
        unknown.into_iter().chain(self.full(now)).collect()
    }

    fn full(&self, now: &CapacityView) -> Option<Problem> {
        if now.more > 0 {
            return None;
        }
        let limit = self.settings.max_tenants;
        let message = if now.slots_free == 0 {
            Message::NodeFullSlots
        } else if limit.is_some() && limit == self.max_tenants() {
            Message::NodeFullLimit
        } else {
            Message::NodeFullMemory
        };
        Some(Problem {
            code: ErrorCode::NodeFull,
            message,
        })
    }
}

async fn read(memory: &dyn Memory) -> PortResult<MemoryReading> {
    match tokio::time::timeout(READ_TIMEOUT, memory.read()).await {
        Ok(read) => read,
        Err(_) => Err(PortError::new(
            ErrorCode::MemoryUnknown,
            Message::MemoryReadTimedOut {
                seconds: READ_TIMEOUT.as_secs(),
            },
        )),
    }
}

#[cfg(test)]
mod tests;
