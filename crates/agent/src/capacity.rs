//! Measures how many tenants the memory suffices for, at intervals in the
//! background: a request only reads the last number.

use domain::{ErrorCode, Message, Problem};
use protocol::CapacityEstimate;
use provisioning::{
    NodeHandle, PortError,
    capacity::{ContainerMemory, Memory, MemoryReading, estimate},
    ports::PortResult,
};
use std::{
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

#[derive(Debug, Default)]
struct LastReading {
    estimate: Option<(Instant, CapacityEstimate)>,
    /// Why the last reading failed.
    problem: Option<Problem>,
}

pub(crate) struct CapacityMeter {
    /// Where the memory is read; without it, nothing is measured.
    memory: Option<Arc<dyn Memory>>,
    /// Bytes to keep free.
    reserve: Option<u64>,
    engine: NodeHandle,
    last: Mutex<LastReading>,
}

impl CapacityMeter {
    pub(crate) fn new(
        memory: Option<Arc<dyn Memory>>,
        reserve: Option<u64>,
        engine: NodeHandle,
    ) -> Self {
        Self {
            memory,
            reserve,
            engine,
            last: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LastReading> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the last estimate, if it is recent enough, and why the last reading
    /// failed, if it did.
    pub(crate) fn last(&self) -> (Option<CapacityEstimate>, Option<Problem>) {
        let last = self.lock();
        let recent = last.estimate.filter(|(at, _)| at.elapsed() < MAX_AGE);
        (recent.map(|(_, estimate)| estimate), last.problem.clone())
    }

    /// Reads the memory at intervals until dropped.
    pub(crate) async fn run(&self) {
        let Some(memory) = &self.memory else {
            return;
        };
        loop {
            let Some(holders) = self.engine.holders() else {
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
                    let estimate = estimate(&reading, self.reserve, is_tenants);
                    let mut last = self.lock();
                    last.estimate = Some((Instant::now(), estimate));
                    if last.problem.take().is_some() {
                        tracing::info!("the memory can be read again");
                    }
                    INTERVAL
                }
                Err(e) => {
                    let mut last = self.lock();
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
