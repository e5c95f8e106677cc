//! How many more tenants fit: what the node has measured, compared with the
//! operator's settings. The number counts all tenants, and the store compares it
//! with its rows in the transaction that creates one, so that a hundred
//! concurrent sign-ups cannot all take the same capacity.

use domain::{ErrorCode, Message, Problem, Slot, view::CapacityView};
use protocol::MachineState;

/// How many tenants a node may hold.
#[derive(Debug)]
pub(crate) struct Capacity {
    /// As the node reported it last; without an estimate, slots alone decide.
    machine: MachineState,
    /// The operator's limit on the number of tenants.
    limit: Option<u32>,
}

impl Capacity {
    pub(crate) fn new(machine: Option<MachineState>, limit: Option<u32>) -> Self {
        let machine = machine.unwrap_or_default();
        let limits = limit.into_iter().chain(machine.max_tenants);
        Self {
            limit: limits.min(),
            machine,
        }
    }

    /// Returns how many tenants the node may hold in all; `None` means as many as
    /// it has slots.
    pub(crate) fn max_tenants(&self) -> Option<u32> {
        let memory = self.machine.capacity.map(|e| e.max_tenants);
        let disk = self.is_disk_low().then_some(0);
        memory.into_iter().chain(self.limit).chain(disk).min()
    }

    /// Returns whether too little of the node's disk is free for a further tenant.
    fn is_disk_low(&self) -> bool {
        self.machine.disk.is_some_and(|disk| disk.low)
    }

    /// Returns how many more tenants fit beside so many. `unassigned` is the number of
    /// slots that no tenant holds and that none gets.
    pub(crate) fn view(&self, held: u32, unassigned: u32) -> CapacityView {
        let slots_free = u32::from(Slot::LAST.get()).saturating_sub(held);
        let slots_free = slots_free.saturating_sub(unassigned);
        let below_limit = self
            .max_tenants()
            .map_or(u32::MAX, |max| max.saturating_sub(held));
        CapacityView {
            more: slots_free.min(below_limit),
            slots_free,
            memory: self.machine.capacity.map(|e| e.view()),
            limit: self.limit,
        }
    }

    /// Returns the problems for the operator: that the memory cannot be measured,
    /// and that the node is full and why.
    pub(crate) fn problems(&self, now: &CapacityView) -> Vec<Problem> {
        let problem = self.machine.problem.clone();
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
        let message = if self.is_disk_low() {
            Message::NodeFullDisk
        } else if now.slots_free == 0 {
            Message::NodeFullSlots
        } else if self.limit.is_some() && self.limit == self.max_tenants() {
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

#[cfg(test)]
mod tests;
