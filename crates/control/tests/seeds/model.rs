//! The reference model: the state, and the effect of each operation on it when
//! they happen one after another.

use super::{
    operations::{Answer, DeviceRef, DeviceSnapshot, Operation, Payload, Request},
    snapshot::{AuditLine, Snapshot},
    tenant::{Device, Tenant, max_devices},
};
use domain::{DeviceId, DeviceLabel, ErrorCode, PublicKey, Slot, TenantId, TenantName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How long a ticket is valid.
const TICKET_MILLIS: i64 = 60_000;

/// A ticket that a client has.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub tenant: String,
    pub expires: Timestamp,
    /// Whether it is known to be valid; otherwise it may be.
    pub sure: bool,
}

/// The state.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// By the tunnel's key.
    pub tenants: BTreeMap<PublicKey, Tenant>,
    /// By their values.
    pub tickets: BTreeMap<String, Ticket>,
}

/// What the model depends on besides its state.
pub struct Context<'a> {
    pub slots: &'a BTreeSet<Slot>,
    /// The clock, which is constant during a step.
    pub now: Timestamp,
    /// Wrong attempts at a password, by name, since the process began: with
    /// five in a minute or more, the next one may be refused.
    pub attempts: &'a BTreeMap<String, u32>,
    /// The database after the step: the store chooses ids and slots.
    pub snapshot: &'a Snapshot,
}

fn line(operation: &Operation, action: &str, object: String) -> AuditLine {
    AuditLine {
        actor: operation.actor(),
        action: action.to_owned(),
        object,
    }
}

impl Model {
    fn tenant(&self, operation: &Operation) -> Option<&Tenant> {
        self.tenants.get(&operation.request.tenant()?.key)
    }

    fn is_taken(&self, name: &str) -> bool {
        self.tenants.values().any(|t| t.name == name)
    }

    /// Returns whether every slot is held, or belonged to another program then.
    fn is_full(&self, operation: &Operation, context: &Context<'_>) -> bool {
        let held: BTreeSet<Slot> = self.tenants.values().map(|t| t.slot).collect();
        let mut slots = context.slots.iter();
        slots.all(|p| held.contains(p) || operation.foreign.contains(p))
    }

    /// Returns whether an operation could have this answer now without changing
    /// the state.
    pub fn is_unchanged_by(&self, operation: &Operation, context: &Context<'_>) -> bool {
        let tenant = self.tenant(operation);
        let device = operation.request.device();
        let has = |key: PublicKey| self.tenants.contains_key(&key);
        let snapshot = |device: DeviceRef| tenant.and_then(|t| t.snapshot(device.key));
        match (&operation.request, &operation.answer) {
            (_, Answer::Lost) => false,
            (_, Answer::Refused(ErrorCode::DatabaseUnavailable)) => true,
            (
                Request::SignUp {
                    name,
                    expected_error,
                    ..
                },
                Answer::Refused(code),
            ) => match code {
                ErrorCode::NameTaken => self.is_taken(&name.to_ascii_lowercase()),
                ErrorCode::NodeFull => operation.seemed_full || self.is_full(operation, context),
                code => Some(*code) == *expected_error,
            },
            (Request::SignIn { name, owner, .. }, Answer::Refused(code)) => match code {
                ErrorCode::SignInRefused => !owner.is_some_and(has),
                ErrorCode::TooManyTries => context.attempts.get(name).is_some_and(|n| *n >= 5),
                _ => false,
            },
            (Request::SignIn { owner, .. }, Answer::Ok(_)) => owner.is_some_and(has),
            (Request::Redeem { ticket, host }, Answer::Refused(ErrorCode::TicketInvalid)) => {
                !self.is_surely_valid(ticket, host, context)
            }
            (Request::Redeem { ticket, host }, Answer::Ok(Payload::SignedIn(id))) => {
                let mut tenants = self.tenants.values();
                let found = tenants.find(|t| t.name == host.as_str());
                let held = self.tickets.get(ticket);
                held.is_some_and(|t| self.may_be_valid(t, host, context))
                    && found.is_some_and(|t| t.id == *id)
            }
            (Request::AddDevice { label, .. }, Answer::Refused(code)) => match (tenant, code) {
                (_, ErrorCode::LabelMalformed) => DeviceLabel::parse(label).is_err(),
                (None, code) => *code == ErrorCode::NotFound,
                (Some(t), ErrorCode::DeviceLimit) => t.devices.len() >= max_devices(t.plan),
                (Some(t), ErrorCode::LabelTaken) => t.has_label(label, None),
                _ => false,
            },
            (Request::ChangeDevice { device, label, .. }, Answer::Refused(code)) => {
                let held = tenant.filter(|t| t.devices.contains_key(&device.key));
                match (held, code) {
                    (None, ErrorCode::NotFound) => true,
                    (Some(t), ErrorCode::LabelTaken) => {
                        let taken = |l: &String| t.has_label(l, Some(device.key));
                        label.as_ref().is_some_and(taken)
                    }
                    _ => false,
                }
            }
            // It was so before.
            (Request::ChangeDevice { device, .. }, Answer::Ok(Payload::Device(seen, _))) => {
                let same = snapshot(*device).is_some_and(|s| s == *seen);
                same && self.changed(operation).is_none()
            }
            (
                Request::DeleteDevice { .. }
                | Request::ViewDevice { .. }
                | Request::DownloadConfig { .. },
                Answer::Refused(code),
            ) => *code == ErrorCode::NotFound && device.and_then(snapshot).is_none(),
            (
                Request::ViewDevice { device, .. } | Request::DownloadConfig { device, .. },
                Answer::Ok(Payload::Device(seen, _)),
            ) => snapshot(*device).is_some_and(|s| s == *seen),
            (Request::ViewDashboard { .. }, Answer::Ok(Payload::Dashboard(rows))) => match tenant {
                Some(t) => *rows == t.rows(),
                // The tenant was deleted between the reading of its row and of
                // its devices.
                None => rows.is_empty(),
            },
            (
                Request::ViewDashboard { .. }
                | Request::SetSuspended { .. }
                | Request::DeleteTenant { .. },
                Answer::Refused(code),
            ) => *code == ErrorCode::NotFound && tenant.is_none(),
            (Request::SetSuspended { suspended, .. }, Answer::Ok(_)) => {
                tenant.is_some_and(|t| t.suspended == *suspended)
            }
            _ => false,
        }
    }

    fn may_be_valid(&self, t: &Ticket, host: &TenantName, context: &Context<'_>) -> bool {
        t.tenant == host.as_str()
            && (!t.sure || t.expires > context.now)
            && self.is_taken(&t.tenant)
    }

    /// Returns whether a ticket is known to be valid at that host.
    fn is_surely_valid(&self, ticket: &str, host: &TenantName, context: &Context<'_>) -> bool {
        let known = self.tickets.get(ticket).filter(|t| t.sure);
        known.is_some_and(|t| self.may_be_valid(t, host, context))
    }

    /// Notes that the clock has moved: expired tickets may have been removed.
    pub fn note_clock(&mut self, now: Timestamp) {
        for t in self.tickets.values_mut() {
            t.sure &= t.expires > now;
        }
    }

    /// Removes the ticket that an operation used up.
    pub fn use_up(&mut self, operation: &Operation) {
        let Request::Redeem { ticket, .. } = &operation.request else {
            return;
        };
        let is_used = match operation.answer {
            Answer::Ok(_) => true,
            // A ticket that was used at another tenant's host is used up as
            // well.
            Answer::Refused(ErrorCode::TicketInvalid) => {
                self.tickets.get(ticket).is_some_and(|t| t.sure)
            }
            _ => false,
        };
        if is_used {
            self.tickets.remove(ticket);
        }
    }

    /// Returns the device as a change would make it; `None` if nothing would
    /// change.
    fn changed(&self, operation: &Operation) -> Option<Device> {
        let Request::ChangeDevice {
            device,
            label,
            policy,
            mesh,
            ..
        } = &operation.request
        else {
            return None;
        };
        let before = self.tenant(operation)?.devices.get(&device.key)?;
        let after = Device {
            label: label.clone().unwrap_or_else(|| before.label.clone()),
            policy: policy.unwrap_or(before.policy),
            mesh: mesh.unwrap_or(before.mesh),
            ..before.clone()
        };
        (after != *before).then_some(after)
    }

    /// Returns the state after an operation that changes it, and its audit
    /// entry; `None` if the operation is impossible now, or has another answer.
    pub fn apply(&self, operation: &Operation, context: &Context<'_>) -> Option<(Self, AuditLine)> {
        if matches!(operation.answer, Answer::Refused(_)) {
            return None;
        }
        let mut after = self.clone();
        let payload = match &operation.answer {
            Answer::Ok(payload) => Some(payload),
            _ => None,
        };
        let key = super::entropy::identity(operation.seed);
        let line = match &operation.request {
            Request::SignUp {
                name,
                plan,
                expected_error: None,
                ..
            } => {
                if self.is_taken(name) || self.tenants.len() >= context.slots.len() {
                    return None;
                }
                let snapshot = context.snapshot.tenants.get(&key);
                let tenant = Tenant {
                    // If the tenant is deleted again, its id was never seen,
                    // and is not needed.
                    id: snapshot.map_or(TenantId(0), |t| t.id),
                    slot: snapshot.map_or(Slot::FIRST, |t| t.slot),
                    name: name.clone(),
                    plan,
                    suspended: false,
                    last_host: 1,
                    devices: BTreeMap::new(),
                };
                after.tenants.insert(key, tenant);
                line(operation, "tenant.create", name.clone())
            }
            Request::AddDevice {
                label,
                policy,
                mesh,
                ..
            } => {
                let tenant = operation.request.tenant()?.key;
                let t = after.tenants.get_mut(&tenant)?;
                DeviceLabel::parse(label).ok()?;
                if t.devices.len() >= max_devices(t.plan) || t.has_label(label, None) {
                    return None;
                }
                let snapshot = context.snapshot.tenants.get(&tenant);
                let id = snapshot.and_then(|t| t.devices.get(&key)).map(|d| d.id);
                let id = match payload {
                    Some(Payload::Device(d, _)) => d.device.id,
                    _ => id.unwrap_or(DeviceId(0)),
                };
                let device = Device {
                    id,
                    label: label.clone(),
                    host: t.free_host(),
                    policy: *policy,
                    mesh: *mesh,
                };
                t.last_host = device.host;
                t.devices.insert(key, device);
                if payload.is_some_and(|p| !matches_snapshot(p, t.snapshot(key))) {
                    return None;
                }
                line(operation, "device.add", t.object(label))
            }
            Request::ChangeDevice { device, label, .. } => {
                let now = self.changed(operation)?;
                let t = after.tenants.get_mut(&operation.request.tenant()?.key)?;
                let taken = |l: &String| t.has_label(l, Some(device.key));
                if label.as_ref().is_some_and(taken) {
                    return None;
                }
                let before = t.devices.insert(device.key, now)?;
                if payload.is_some_and(|p| !matches_snapshot(p, t.snapshot(device.key))) {
                    return None;
                }
                line(operation, "device.change", t.object(&before.label))
            }
            Request::DeleteDevice { device, .. } => {
                let t = after.tenants.get_mut(&operation.request.tenant()?.key)?;
                let deleted = t.devices.remove(&device.key)?;
                line(operation, "device.delete", t.object(&deleted.label))
            }
            Request::SetSuspended { suspended, .. } => {
                let t = after.tenants.get_mut(&operation.request.tenant()?.key)?;
                if std::mem::replace(&mut t.suspended, *suspended) == *suspended {
                    return None;
                }
                let action = match suspended {
                    true => "tenant.suspend",
                    false => "tenant.resume",
                };
                line(operation, action, t.name.clone())
            }
            Request::DeleteTenant { .. } => {
                let t = after.tenants.remove(&operation.request.tenant()?.key)?;
                after.tickets.retain(|_, ticket| ticket.tenant != t.name);
                line(operation, "tenant.delete", t.name)
            }
            _ => return None,
        };
        Some((after, line))
    }

    /// Adds a ticket that a client was given.
    pub fn add_ticket(&mut self, value: &str, tenant: &str, now: Timestamp, sure: bool) {
        // The store removes the oldest of many tickets.
        let mut others: Vec<_> = self.tickets.values_mut().collect();
        others.retain(|t| t.tenant == tenant);
        if others.len() >= 8 {
            others.into_iter().for_each(|t| t.sure = false);
        }
        let ticket = Ticket {
            tenant: tenant.to_owned(),
            expires: now.plus_millis(TICKET_MILLIS),
            sure,
        };
        self.tickets.insert(value.to_owned(), ticket);
    }
}

fn matches_snapshot(payload: &Payload, snapshot: Option<DeviceSnapshot>) -> bool {
    matches!(payload, Payload::Device(d, _) if snapshot.as_ref() == Some(d))
}
