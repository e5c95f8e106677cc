//! Computes what a node reports of itself.

use crate::{
    observed::{Observation, Observed},
    pending::Pending,
    plan::{Lane, Plan, is_ours},
    ports::PortError,
};
use domain::{Problem, Slot};
use protocol::{NodeSpec, NodeState};
use std::collections::BTreeSet;

/// The most tenants that cannot be read and are reported one by one.
const MAX_UNREADABLE: usize = 20;

/// What a node's state is made from.
pub(super) struct NodeStateInputs<'a> {
    pub spec: &'a NodeSpec,
    pub observed: &'a Observed,
    pub plan: &'a Plan,
    pub pending: &'a Pending,
    pub foreign: &'a BTreeSet<Slot>,
}

impl NodeStateInputs<'_> {
    /// Returns why parts of the machine or of the spec cannot be read.
    pub fn unreadable(&self) -> Vec<Problem> {
        fn error<T>(of: &Observation<T>) -> Option<&PortError> {
            of.error()
        }
        let o = self.observed;
        let ports = [
            error(&o.firewall),
            error(&o.wireguard),
            error(&o.shaping),
            error(&o.containers),
            error(&o.folders),
        ];
        let ports = ports.into_iter().flatten().map(PortError::problem);
        let tenants = self.spec.unreadable.iter().take(MAX_UNREADABLE);
        ports
            .chain(tenants.map(|(slot, t)| t.problem(*slot)))
            .collect()
    }

    /// Returns the slots whose interface is that of a tenant who left, of an earlier
    /// tenant in a slot that is in use again, or may be. The earlier one may even have
    /// the same name; its keys and peers are still to be replaced.
    fn leaving(&self) -> Option<BTreeSet<Slot>> {
        let interfaces = self.observed.wireguard.value()?;
        let planned = self.plan.keys().filter_map(|lane| match lane {
            Lane::Tunnel(slot) => Some(*slot),
            _ => None,
        });
        // What is kept for one that cannot be read may be an earlier tenant's, or a
        // former state's, and is even created again.
        let (unreadable, tenants) = (self.spec.unreadable.keys(), &self.spec.tenants);
        let kept = unreadable.clone().filter(|slot| tenants.contains_key(slot));
        let present = planned.chain(unreadable.copied());
        // Nothing is planned for what an earlier spec does not have.
        let others = interfaces
            .keys()
            .filter(|slot| self.spec.unknown(**slot).is_some());
        let present = present.chain(others.copied());
        let present = present.filter(|slot| interfaces.get(slot).is_some_and(is_ours));
        let pending = self.pending.tunnels.iter().copied();
        Some(present.chain(kept.copied()).chain(pending).collect())
    }

    /// Returns the state.
    pub fn state(&self, problems: Vec<Problem>) -> NodeState {
        NodeState {
            generation: self.spec.generation,
            problems,
            foreign_slots: self.foreign.clone(),
            leaving: self.leaving(),
        }
    }
}
