//! A machine's memory that tests set, and that fails on demand.

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

/// The memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FakeMemory(Arc<Mutex<MemoryState>>);

/// The result of a reading, and the number of readings.
#[derive(Debug, Default)]
pub struct MemoryState {
    /// The reading; `None` fails.
    pub reading: Option<MemoryReading>,
    /// Whether readings never return.
    pub hangs: bool,
    /// The number of readings so far.
    pub reads: usize,
}

impl FakeMemory {
    /// Creates a machine with these bytes in total and available, and no
    /// container.
    pub fn with(total: u64, available: u64) -> Self {
        let this = Self::default();
        this.state().reading = Some(MemoryReading {
            total,
            available,
            ..MemoryReading::default()
        });
        this
    }

    /// Locks the state.
    pub fn state(&self) -> MutexGuard<'_, MemoryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a tenant's container that has been running for an hour and uses this
    /// many of the available bytes.
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
            let path = "/proc/meminfo".to_owned();
            PortError::new(
                ErrorCode::MemoryUnknown,
                domain::Message::MeminfoUnreadable { path },
            )
        })
    }
}
