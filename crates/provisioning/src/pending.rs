//! What is under way, or has failed and was not read since: it may change the
//! machine behind the back of what was observed.

use crate::plan::{Lane, Step};
use domain::{Slot, TenantName};
use std::collections::BTreeSet;

/// See the module. Empty where nothing is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Slots whose tunnel may come, go or change, or stands and cannot be read.
    pub tunnels: BTreeSet<Slot>,
    /// Slots whose elements may come, go or change.
    pub elements: BTreeSet<Slot>,
    /// The same for every slot.
    pub all_elements: bool,
    /// Tenants whose containers are being made ready and started.
    pub starts: BTreeSet<TenantName>,
}

impl Pending {
    /// Steps of a lane are being carried out.
    pub fn running(&mut self, lane: &Lane, steps: &[Step]) {
        match lane {
            Lane::Tunnel(slot) => drop(self.tunnels.insert(*slot)),
            Lane::Firewall => steps.iter().for_each(|step| self.transaction(step)),
            _ => {}
        }
    }

    fn transaction(&mut self, step: &Step) {
        if let Step::Firewall(change) = step {
            self.all_elements |= change.rebuild;
            self.elements.extend(change.remove.keys());
            self.elements.extend(change.set.iter().map(|(_, t)| t.slot));
        }
    }

    /// Whether a slot's elements may change.
    pub fn is_about_elements(&self, slot: Slot) -> bool {
        self.all_elements || self.elements.contains(&slot)
    }
}
