//! Starts a process from what an earlier one stored, as a node does while no control plane
//! answers. The newest changes may be missing in it; nothing that was revoked is in it.

use super::{SimState, faults::Fault};
use protocol::NodeSpec;
use std::time::Duration;

impl SimState {
    /// Draws, at a process's start, for how long it has nothing but what is stored.
    pub(super) fn begin_from_stored(&mut self) {
        if self.is_worker() {
            // Until a control plane has answered.
            let stored = &mut self.model.stored;
            stored.until = Duration::MAX;
            stored.answered.clone_from(&stored.stored);
            return;
        }
        if !self.faults.has(Fault::SpecEarlier) {
            return;
        }
        let silent = Duration::from_millis(self.rng.below(30_000));
        let until = self.now() + silent;
        let stored = &mut self.model.stored;
        stored.until = until;
        stored.answered.clone_from(&stored.stored);
    }

    fn stores_specs(&self) -> bool {
        self.is_worker() || self.faults.has(Fault::SpecEarlier)
    }

    /// Returns what is stored while the control plane has not answered.
    pub(super) fn earlier_spec(&mut self) -> Option<NodeSpec> {
        if !self.stores_specs() || self.now() >= self.model.stored.until {
            return None;
        }
        let mut spec = self.model.stored.stored.clone()?;
        spec.is_earlier = true;
        let generation = spec.generation;
        self.record(|| format!("no answer; generation {generation} is stored"));
        Some(spec)
    }

    /// Stores what was answered, or, as when the process dies before, does not. What takes
    /// something away removes what was stored.
    pub(super) fn store_answer(&mut self, spec: &NodeSpec) {
        if !self.stores_specs() {
            return;
        }
        // The control plane is known from the first answer on.
        self.model.stored.until = Duration::ZERO;
        let before = self.model.stored.answered.replace(spec.clone());
        if before.is_some_and(|before| takes_away(&before, spec)) {
            self.model.stored.stored = None;
        }
        if self.rng.percent(40) {
            self.model.stored.stored = Some(spec.clone());
        }
    }
}

/// Returns whether the later spec lacks something of the earlier one.
fn takes_away(before: &NodeSpec, now: &NodeSpec) -> bool {
    before.tenants.iter().any(|(slot, was)| {
        let is = now.tenants.get(slot);
        let is = is.filter(|t| t.private_key == was.private_key && t.suspended == was.suspended);
        is.is_none_or(|is| {
            was.devices.iter().any(|(id, had)| {
                let has = is.devices.get(id);
                has.is_none_or(|d| d.public_key != had.public_key || (had.mesh && !d.mesh))
            })
        })
    })
}
