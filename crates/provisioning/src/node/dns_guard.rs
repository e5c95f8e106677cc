//! Watches AdGuard Homes that keep ending. After a few quick ends the tenant's queries
//! go to the fallback resolver, and before each further start one part that may be
//! damaged is set aside: what is least missed first.

use super::refusals::Refusals;
use crate::{
    observed::{ContainerState, Observed},
    pending::{DiskHold, DnsHold, Pending},
    plan::Step,
    ports::DnsPart,
};
use domain::{PublicKey, Slot};
use protocol::{DriftKind, NodeSpec};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// An instance that ends sooner after its start has ended quickly.
const QUICK: Duration = Duration::from_secs(30);
/// How many quick ends in a row put an instance on hold.
const MAX_QUICK_ENDS: u32 = 3;
/// How long an instance must answer before queries are sent to it again.
const CALM: Duration = Duration::from_secs(10);
/// How long an instance rests, between two starts, after setting everything aside did
/// not help.
const REST: Duration = Duration::from_secs(60);

/// The parts that are set aside, in this order.
const PARTS: [DnsPart; 4] = [
    DnsPart::Statistics,
    DnsPart::QueryLog,
    DnsPart::Lists,
    DnsPart::Config,
];

#[derive(Debug)]
struct Guard {
    /// The tunnel's key of the tenant whose instance it is.
    owner: PublicKey,
    started: Option<Instant>,
    answers_since: Option<Instant>,
    quick_ends: u32,
    /// While it is on hold: how many parts were set aside.
    set_aside: Option<usize>,
    rests_until: Option<Instant>,
}

impl Guard {
    fn hold(&self) -> Option<DnsHold> {
        let done = self.set_aside?;
        Some(match (self.rests_until, PARTS.get(done)) {
            (Some(_), _) => DnsHold::Rest,
            (None, part) => DnsHold::Repair(part.copied()),
        })
    }
}

/// The instances that were started by this process, by slot, and those that must not
/// run.
#[derive(Debug, Default)]
pub(super) struct DnsGuard {
    guards: BTreeMap<Slot, Guard>,
    holds: BTreeMap<Slot, DnsHold>,
    disk_holds: BTreeMap<Slot, DiskHold>,
    copied: BTreeSet<Slot>,
    refusals: Refusals,
}

impl DnsGuard {
    /// Writes the instances on hold, and those that are replaced, into the changes under
    /// way.
    pub fn add_to(&self, pending: &mut Pending) {
        pending.dns_holds.clone_from(&self.holds);
        pending.dns_refused = self.refusals.containers();
    }

    /// Sets the instances that must not run because of the disk.
    pub fn set_disk_holds(&mut self, holds: BTreeMap<Slot, DiskHold>) {
        let all: BTreeSet<Slot> = self
            .disk_holds
            .keys()
            .chain(holds.keys())
            .copied()
            .collect();
        self.disk_holds = holds;
        all.into_iter().for_each(|slot| self.update(slot));
    }

    /// Sets the instances that are stopped while their files are copied.
    pub fn set_copied(&mut self, slots: BTreeSet<Slot>) {
        let all: BTreeSet<Slot> = self.copied.union(&slots).copied().collect();
        self.copied = slots;
        all.into_iter().for_each(|slot| self.update(slot));
    }

    /// Returns the instances that are stopped while their files are copied.
    pub const fn copied(&self) -> &BTreeSet<Slot> {
        &self.copied
    }

    /// Records a step that succeeded. Returns what it set aside.
    pub fn step_done(&mut self, step: &Step, spec: &NodeSpec) -> Option<(Slot, DriftKind)> {
        match step {
            Step::SetAside(slot, part) => {
                let guard = self.guards.get_mut(slot)?;
                guard.set_aside = guard.set_aside.map(|done| done + 1);
                let kind = match part {
                    DnsPart::Statistics => DriftKind::StatisticsDamaged,
                    DnsPart::QueryLog => DriftKind::QueryLogDamaged,
                    DnsPart::Lists => DriftKind::ListsDamaged,
                    DnsPart::Config => DriftKind::DnsConfDamaged,
                };
                Some((*slot, kind))
            }
            Step::StartContainer(slot) => {
                self.refusals.started(*slot);
                let owner = spec.tenants.get(slot)?.private_key.public();
                let guard = self.guards.entry(*slot).or_insert(Guard {
                    owner,
                    started: None,
                    answers_since: None,
                    quick_ends: 0,
                    set_aside: None,
                    rests_until: None,
                });
                guard.started = Some(Instant::now());
                guard.answers_since = None;
                None
            }
            _ => None,
        }
    }

    /// Follows a new reading of the containers.
    pub fn containers_read(&mut self, spec: &NodeSpec, observed: &Observed) {
        let is_owner = |slot: &Slot, owner: PublicKey| {
            let tenant = spec.tenants.get(slot);
            tenant.is_some_and(|t| !t.suspended && t.private_key.public() == owner)
        };
        self.guards
            .retain(|slot, guard| is_owner(slot, guard.owner));
        let Some(containers) = observed.containers.value() else {
            return;
        };
        self.refusals.containers_read(is_owner, containers);
        let ended: BTreeSet<Slot> = containers
            .ours
            .iter()
            .filter(|c| {
                matches!(
                    c.state,
                    ContainerState::Stopped | ContainerState::Restarting
                )
            })
            .filter_map(|c| c.slot)
            .collect();
        let now = Instant::now();
        for (_, guard) in self.guards.iter_mut().filter(|(s, _)| ended.contains(s)) {
            guard.answers_since = None;
            let Some(started) = guard.started.take() else {
                continue;
            };
            if now - started >= QUICK {
                guard.quick_ends = 0;
            }
            guard.quick_ends += 1;
            match guard.set_aside {
                None if guard.quick_ends >= MAX_QUICK_ENDS => guard.set_aside = Some(0),
                Some(done) if done >= PARTS.len() => guard.rests_until = Some(now + REST),
                _ => {}
            }
        }
        self.update_all();
    }

    /// Follows a new reading of one AdGuard Home. Returns what is wrong with it, if its
    /// container is to be replaced for that.
    pub fn dns_read(
        &mut self,
        slot: Slot,
        spec: &NodeSpec,
        observed: &Observed,
    ) -> Option<DriftKind> {
        let running = observed.dns.get(&slot).and_then(|d| d.value());
        // The start may have failed, and have had its effect all the same.
        if let Some(guard) = self.guards.get_mut(&slot) {
            match running.is_some_and(|d| d.running) {
                true => drop(guard.answers_since.get_or_insert_with(Instant::now)),
                false => guard.answers_since = None,
            }
        }
        let is_refused = self.refusals.dns_read(slot, spec, observed);
        is_refused.then_some(DriftKind::DnsPasswordChanged)
    }

    /// Lets instances go that have answered for a while, or rested long enough.
    pub fn tick(&mut self) {
        let now = Instant::now();
        for guard in self.guards.values_mut().filter(|g| g.set_aside.is_some()) {
            if guard.answers_since.is_some_and(|since| now - since >= CALM) {
                (guard.set_aside, guard.quick_ends) = (None, 0);
            }
            if guard.rests_until.is_some_and(|until| until <= now) {
                // Nothing more is set aside: what was is kept as it is.
                guard.rests_until = None;
            }
        }
        self.update_all();
    }

    fn update_all(&mut self) {
        let slots = self.guards.keys().chain(self.holds.keys());
        let slots = slots.chain(self.disk_holds.keys()).chain(&self.copied);
        let slots: BTreeSet<Slot> = slots.copied().collect();
        slots.into_iter().for_each(|slot| self.update(slot));
    }

    fn update(&mut self, slot: Slot) {
        let disk = self.disk_holds.get(&slot).copied().map(DnsHold::Disk);
        let copied = self.copied.contains(&slot).then_some(DnsHold::Copy);
        let hold = copied
            .or(disk)
            .or_else(|| self.guards.get(&slot).and_then(Guard::hold));
        match hold {
            Some(hold) => drop(self.holds.insert(slot, hold)),
            None => drop(self.holds.remove(&slot)),
        }
    }
}
