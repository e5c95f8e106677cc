//! A spec that tests change.

use async_trait::async_trait;
use protocol::NodeSpec;
use provisioning::ports::{PortResult, SpecSource};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// The spec. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FakeSpecs {
    spec: Arc<Mutex<NodeSpec>>,
    loads: Arc<AtomicU64>,
    in_force: Arc<AtomicU64>,
}

impl FakeSpecs {
    /// Changes the spec, increments its generation, and returns that.
    pub fn change(&self, change: impl FnOnce(&mut NodeSpec)) -> u64 {
        let mut spec = self.spec.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut spec);
        spec.generation += 1;
        spec.generation
    }

    /// Returns how often it was loaded.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// Returns the generation that the node had in force at the last load.
    pub fn in_force(&self) -> u64 {
        self.in_force.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl SpecSource for FakeSpecs {
    async fn load(&self, in_force: u64) -> PortResult<NodeSpec> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.in_force.store(in_force, Ordering::Relaxed);
        Ok(self
            .spec
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }
}
