//! Records which revocations are acknowledged. From that moment on nothing may
//! carry packets any more for what was revoked.

use super::{
    entropy::identity,
    operations::{Answer, Operation, Payload, Request},
};
use domain::PublicKey;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use testkit::sim::Sim;

/// The record. Clones share it.
#[derive(Clone)]
pub struct Acknowledged {
    sim: Sim,
    tenants: Arc<Mutex<BTreeMap<PublicKey, KnownTenant>>>,
    /// Revocations that were done, and those of them that were acknowledged.
    counts: Arc<(AtomicU64, AtomicU64)>,
}

/// What is known of a tenant.
#[derive(Default)]
struct KnownTenant {
    /// Every device that it has had, or may have had.
    devices: BTreeSet<PublicKey>,
    /// Those whose deletion is acknowledged.
    deleted: BTreeSet<PublicKey>,
    /// Operations that may admit devices again: resumptions.
    resumes: Counts,
    /// Operations that may admit an address to the mesh.
    joins: Counts,
}

/// Operations of a kind: how many began, and how many have not ended.
#[derive(Clone, Copy, Default, PartialEq)]
struct Counts {
    begun: u64,
    under_way: u64,
}

impl Counts {
    fn begin(&mut self) {
        self.begun += 1;
        self.under_way += 1;
    }
}

/// What was under way when an operation began.
pub struct Before {
    resumes: Counts,
    joins: Counts,
}

impl Acknowledged {
    pub fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            tenants: Arc::default(),
            counts: Arc::default(),
        }
    }

    /// Returns how many revocations were done so far, and how many of them were
    /// reported as in force.
    pub fn count(&self) -> (u64, u64) {
        let n = |n: &AtomicU64| n.load(Ordering::Relaxed);
        (n(&self.counts.0), n(&self.counts.1))
    }

    /// Notes that an operation begins: what it may admit again is no longer
    /// forbidden.
    pub fn begin(&self, operation: &Operation) -> Option<Before> {
        let tenant = operation.request.tenant()?;
        let mut tenants = self.tenants.lock().unwrap();
        let known = tenants.entry(tenant.key).or_default();
        let before = Before {
            resumes: known.resumes,
            joins: known.joins,
        };
        match &operation.request {
            Request::AddDevice { .. } => {
                known.devices.insert(identity(operation.seed));
                known.joins.begin();
                self.sim.state().model.allow_mesh(tenant.slot);
            }
            Request::ChangeDevice {
                mesh: Some(true), ..
            } => {
                known.joins.begin();
                self.sim.state().model.allow_mesh(tenant.slot);
            }
            Request::SetSuspended {
                suspended: false, ..
            } => {
                known.resumes.begin();
                let mut s = self.sim.state();
                for key in known.devices.difference(&known.deleted) {
                    s.model.allow_key(tenant.slot, *key);
                }
            }
            // The slot may soon belong to another tenant.
            Request::DeleteTenant { .. } => self.sim.state().model.allow_mesh(tenant.slot),
            _ => {}
        }
        Some(before)
    }

    /// Notes that an operation ended with an answer.
    pub fn end(
        &self,
        operation: &Operation,
        before: Option<Before>,
        answer: &Answer,
        left_mesh: LeftMesh,
    ) {
        let (Some(tenant), Some(before)) = (operation.request.tenant(), before) else {
            return;
        };
        let mut tenants = self.tenants.lock().unwrap();
        let known = tenants.entry(tenant.key).or_default();
        match &operation.request {
            Request::AddDevice { .. }
            | Request::ChangeDevice {
                mesh: Some(true), ..
            } => known.joins.under_way -= 1,
            Request::SetSuspended {
                suspended: false, ..
            } => known.resumes.under_way -= 1,
            _ => {}
        }
        let in_force = match answer {
            Answer::Ok(Payload::Done(in_force) | Payload::Device(_, in_force)) => *in_force,
            _ => false,
        };
        let revokes = matches!(
            operation.request,
            Request::DeleteDevice { .. }
                | Request::DeleteTenant { .. }
                | Request::SetSuspended {
                    suspended: true,
                    ..
                }
        );
        if revokes && matches!(answer, Answer::Ok(_)) {
            self.counts.0.fetch_add(1, Ordering::Relaxed);
            self.counts
                .1
                .fetch_add(u64::from(in_force), Ordering::Relaxed);
        }
        if !in_force {
            return;
        }
        let quiet = |then: Counts, now: Counts| then.under_way == 0 && then == now;
        let mut s = self.sim.state();
        match &operation.request {
            Request::DeleteDevice { device, .. } => {
                known.deleted.insert(device.key);
                s.model.revoke_key(tenant.slot, device.key);
            }
            Request::DeleteTenant { .. } => {
                for key in &known.devices {
                    s.model.revoke_key(tenant.slot, *key);
                }
            }
            Request::SetSuspended {
                suspended: true, ..
            } if quiet(before.resumes, known.resumes) => {
                for key in &known.devices {
                    s.model.revoke_key(tenant.slot, *key);
                }
            }
            _ => {}
        }
        if let Some(address) = left_mesh.filter(|_| quiet(before.joins, known.joins)) {
            s.model.revoke_mesh(tenant.slot, address);
        }
        s.check_invariants("an acknowledgement");
    }

    /// Notes that the process has died: pending operations get no answer.
    pub fn drop_pending(&self) {
        for known in self.tenants.lock().unwrap().values_mut() {
            known.joins.under_way = 0;
            known.resumes.under_way = 0;
        }
    }
}

/// An address that has left the mesh with the answer.
pub type LeftMesh = Option<Ipv4Addr>;

/// Returns the address that the answer to a change takes out of the mesh.
pub fn left_mesh(operation: &Operation, answer: &Answer) -> LeftMesh {
    match (&operation.request, answer) {
        (
            Request::ChangeDevice {
                mesh: Some(false), ..
            },
            Answer::Ok(Payload::Device(d, true)),
        ) => d.address.parse().ok(),
        _ => None,
    }
}
