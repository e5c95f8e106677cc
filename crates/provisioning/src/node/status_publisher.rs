//! Publishes each tenant's status. Recomputes only tenants marked stale.

use super::{
    executor::Executor,
    handle::Shared,
    observer::Observer,
    status::{self, PartClocks, StatusSources},
};
use crate::{
    plan::{Lane, Planner, Step},
    spec::NodeSettings,
};
use domain::{Part, Slot, TenantStatus};
use protocol::{NodeSpec, TenantSpec};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::time::Instant;

/// What a tenant's status is made from.
pub(super) struct StatusInputs<'a> {
    pub spec: &'a Arc<NodeSpec>,
    pub observer: &'a Observer,
    pub settings: &'a NodeSettings,
    pub planner: &'a Planner,
    pub executor: &'a Executor,
}

impl StatusInputs<'_> {
    /// Returns a tenant's status, and whether its tunnel and elements are in force.
    fn status_of(&self, t: &TenantSpec) -> (TenantStatus, bool) {
        let observed = self.observer.observed();
        let sources = StatusSources {
            observed,
            settings: self.settings,
            containers: self.planner.containers(),
            hold: self.planner.dns_hold(t.slot),
            executor: self.executor,
        };
        let status = status::status(t, &sources);
        let readable = observed.wireguard.value().is_some() && observed.firewall.value().is_some();
        let waits = self.planner.waits_for_connections(t.slot);
        // A tenant that cannot be read has an earlier generation in force.
        let applied = readable
            && !self.spec.unreadable.contains_key(&t.slot)
            && (t.suspended || status.tunnel.is_ready() || !waits)
            && !self.observer.is_in_doubt(t.slot)
            && !self.executor.touches(t.slot, self.planner.plan());
        (status, applied)
    }
}

/// A tenant's status as it was last published.
struct Published {
    clocks: PartClocks,
    /// Without the clocks' durations.
    status: TenantStatus,
    applied: bool,
}

/// The published statuses, and the tenants whose status may have changed.
#[derive(Default)]
pub(super) struct StatusPublisher {
    tenants: BTreeMap<Slot, Published>,
    generation: u64,
    stale: BTreeSet<Slot>,
}

impl StatusPublisher {
    /// Marks slots as stale.
    pub fn mark(&mut self, slots: impl IntoIterator<Item = Slot>) {
        self.stale.extend(slots);
    }

    /// Marks the slots whose status depends on a lane: whether it runs, or its error.
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
                // The status of tenants without elements shows the lane's state.
                self.mark_where(|published| !published.status.firewall.is_ready());
            }
            Lane::Speed(_)
            | Lane::Connections
            | Lane::Stray(_)
            | Lane::Dns(_)
            | Lane::Folder(_)
            | Lane::Image => {}
        }
    }

    /// Marks tenants whose DNS filter is starting: as time passes, its silence
    /// becomes a problem.
    pub fn mark_waiting(&mut self) {
        self.mark_where(|published| published.status.dns == Part::Working);
    }

    fn mark_where(&mut self, matches: impl Fn(&Published) -> bool) {
        let tenants = self.tenants.iter();
        let slots = tenants.filter(|(_, published)| matches(published));
        self.stale.extend(slots.map(|(slot, _)| *slot));
    }

    /// Recomputes the status of stale tenants and publishes it.
    pub fn publish(&mut self, inputs: &StatusInputs, shared: &Shared) {
        let now = Instant::now();
        let generation = inputs.spec.generation;
        for slot in std::mem::take(&mut self.stale) {
            let Some(t) = inputs.spec.tenants.get(&slot) else {
                self.tenants.remove(&slot);
                continue;
            };
            let (status, applied) = inputs.status_of(t);
            let published = self.tenants.entry(slot).or_insert_with(|| Published {
                clocks: PartClocks::new(now),
                status: status.clone(),
                applied,
            });
            (published.status, published.applied) = (status.clone(), applied);
            let mut stamped = status;
            published.clocks.stamp(&mut stamped, now);
            shared.set_tenant(t, generation, applied, stamped);
        }
        if self.generation != generation {
            self.generation = generation;
            let tenants = self.tenants.iter();
            let applied = tenants.filter(|(_, published)| published.applied);
            shared.set_applied(applied.map(|(slot, _)| *slot), generation);
        }
    }

    /// Checks that the published statuses are the actual ones.
    ///
    /// # Panics
    /// Where one is not.
    pub fn check(&self, inputs: &StatusInputs) {
        let published: BTreeMap<Slot, (TenantStatus, bool)> = self
            .tenants
            .iter()
            .map(|(slot, published)| (*slot, (published.status.clone(), published.applied)))
            .collect();
        let actual: BTreeMap<Slot, (TenantStatus, bool)> = inputs
            .spec
            .tenants
            .values()
            .map(|t| (t.slot, inputs.status_of(t)))
            .collect();
        assert_eq!(
            published, actual,
            "a published status is not the actual one"
        );
    }
}
