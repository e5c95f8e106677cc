//! A machine's memory that tests write, and that fails on demand.

use async_trait::async_trait;
use domain::{ErrorCode, Slot, TenantName};
use provisioning::{
    capacity::{ContainerMemory, Memory, MemoryReading},
    ports::{PortError, PortResult},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The memory. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct FakeMemory(Arc<Mutex<State>>);

/// What a reading says, and how often there was one.
#[derive(Debug, Default)]
pub struct State {
    /// What is read; `None` fails.
    pub reading: Option<MemoryReading>,
    /// A reading never comes back.
    pub hangs: bool,
    /// Readings so far.
    pub reads: usize,
}

impl FakeMemory {
    /// A machine with so many bytes, so many of them free, and no container.
    pub fn with(total: u64, available: u64) -> Self {
        let this = Self::default();
        this.state().reading = Some(MemoryReading {
            total,
            available,
            ..MemoryReading::default()
        });
        this
    }

    /// The state, to read and to write.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tenant's container that has been running for an hour, with its bytes,
    /// which are free no more.
    pub fn run(&self, slot: Slot, tenant: &TenantName, bytes: u64) {
        if let Some(reading) = &mut self.state().reading {
            reading.available = reading.available.saturating_sub(bytes);
            reading.containers.push(ContainerMemory {
                slot: Some(slot),
                tenant: tenant.to_string(),
                bytes,
                age: Duration::from_secs(3600),
            });
        }
    }
}

#[async_trait]
impl Memory for FakeMemory {
    async fn read(&self) -> PortResult<MemoryReading> {
        let (reading, hangs) = {
            let mut state = self.state();
            state.reads += 1;
            (state.reading.clone(), state.hangs)
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        reading.ok_or_else(|| {
            PortError::new(ErrorCode::MemoryUnknown, "The memory cannot be read here.")
        })
    }
}
