//! What is told of each tenant, and who has to be told anew.

use super::handle::Shared;
use crate::{
    node::{lanes::Lanes, sources::Sources},
    plan::{Lane, Planner, Step},
    spec::{NodeSettings, NodeSpec, TenantSpec},
    status::{self, PartClocks},
};
use domain::{Part, Slot, TenantStatus};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::time::Instant;

/// What a tenant's status is made from.
pub(super) struct Picture<'a> {
    pub spec: &'a Arc<NodeSpec>,
    pub sources: &'a Sources,
    pub settings: &'a NodeSettings,
    pub planner: &'a Planner,
    pub lanes: &'a Lanes,
}

impl Picture<'_> {
    /// How a tenant's parts are, and whether tunnel and elements are in force.
    fn of(&self, t: &TenantSpec) -> (TenantStatus, bool) {
        let observed = self.sources.observed();
        let containers = self.planner.containers();
        let status = status::status(t, observed, self.settings, containers, self.lanes);
        let readable = observed.wireguard.known().is_some() && observed.firewall.known().is_some();
        let applied = readable
            && !self.sources.in_doubt(t.slot)
            && !self.lanes.touches(t.slot, self.planner.plan());
        (status, applied)
    }
}

/// A tenant as it was told last.
struct Told {
    clocks: PartClocks,
    /// Before the clocks' times were written into it.
    status: TenantStatus,
    applied: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Board {
    tenants: BTreeMap<Slot, Told>,
    generation: u64,
    stale: BTreeSet<Slot>,
}

impl Board {
    /// Something about these slots has changed.
    pub fn mark(&mut self, slots: impl IntoIterator<Item = Slot>) {
        self.stale.extend(slots);
    }

    /// Something about a lane has changed: whether it runs, or what it said.
    pub fn mark_lane(&mut self, lane: &Lane, steps: &[Step]) {
        match lane {
            Lane::Tunnel(slot) | Lane::Container(slot) => drop(self.stale.insert(*slot)),
            Lane::Firewall => {
                for step in steps {
                    if let Step::Firewall(change) = step {
                        self.stale.extend(change.remove.keys());
                        self.stale.extend(change.set.iter().map(|(_, t)| t.slot));
                    }
                }
                // Whose elements do not stand is told what the lane does.
                self.mark_where(|told| !told.status.firewall.is_ready());
            }
            Lane::Stray(_) | Lane::Dns(_) | Lane::Folder(_) | Lane::Image => {}
        }
    }

    /// Time has passed: a silence may have become a problem.
    pub fn mark_waiting(&mut self) {
        self.mark_where(|told| told.status.dns == Part::Working);
    }

    fn mark_where(&mut self, holds: impl Fn(&Told) -> bool) {
        let slots = self.tenants.iter().filter(|(_, told)| holds(told));
        self.stale.extend(slots.map(|(slot, _)| *slot));
    }

    /// Tells what has changed.
    pub fn tell(&mut self, picture: &Picture, shared: &Shared) {
        let now = Instant::now();
        let generation = picture.spec.generation;
        for slot in std::mem::take(&mut self.stale) {
            let Some(t) = picture.spec.tenants.get(&slot) else {
                self.tenants.remove(&slot);
                continue;
            };
            let (status, applied) = picture.of(t);
            let told = self.tenants.entry(slot).or_insert_with(|| Told {
                clocks: PartClocks::new(now),
                status: status.clone(),
                applied,
            });
            (told.status, told.applied) = (status.clone(), applied);
            let mut stamped = status;
            told.clocks.stamp(&mut stamped, now);
            shared.set_tenant(t, generation, applied, stamped);
        }
        if self.generation != generation {
            self.generation = generation;
            let applied = self.tenants.iter().filter(|(_, told)| told.applied);
            shared.set_applied(applied.map(|(slot, _)| *slot), generation);
        }
    }

    /// Whether everybody has been told what is so.
    ///
    /// # Panics
    /// Where somebody has not.
    pub fn check(&self, picture: &Picture) {
        let told: BTreeMap<Slot, (TenantStatus, bool)> = self
            .tenants
            .iter()
            .map(|(slot, told)| (*slot, (told.status.clone(), told.applied)))
            .collect();
        let so: BTreeMap<Slot, (TenantStatus, bool)> = picture
            .spec
            .tenants
            .values()
            .map(|t| (t.slot, picture.of(t)))
            .collect();
        assert_eq!(told, so, "told, and so");
    }
}
