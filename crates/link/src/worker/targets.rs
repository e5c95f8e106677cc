//! The control planes of the installation. One is used at a time, and the next one after
//! a failure.

use super::address::ControlPlane;
use std::sync::Arc;

/// The addresses and which one is used.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    /// At least one.
    all: Arc<[ControlPlane]>,
    used: usize,
}

impl Targets {
    /// Begins with the first.
    pub fn new(first: ControlPlane, others: Vec<ControlPlane>) -> Self {
        let all = std::iter::once(first).chain(others).collect();
        Self { all, used: 0 }
    }

    /// Returns the one that is used.
    pub fn current(&self) -> &ControlPlane {
        &self.all[self.used]
    }

    /// Goes to the next one.
    pub fn next(&mut self) {
        self.used = (self.used + 1) % self.all.len();
    }
}
