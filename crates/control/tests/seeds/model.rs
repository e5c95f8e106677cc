//! The reference model: what there is, and what each operation makes of it when
//! they come one after another.

use super::{
    asked::{Answer, Asked, Got, Shown, Which, Wish},
    seen::{Row, Seen},
};
use domain::{
    AddressPlan, DeviceId, DeviceLabel, ErrorCode, FilterPolicy, PublicKey, Slot, TenantId,
    TenantName, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// How long a ticket is good for.
const TICKET_MILLIS: i64 = 60_000;

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub label: String,
    pub host: u8,
    pub policy: FilterPolicy,
    pub mesh: bool,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub slot: Slot,
    pub plan: &'static str,
    pub suspended: bool,
    pub devices: BTreeMap<PublicKey, Device>,
}

/// A ticket that somebody holds.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub tenant: String,
    pub expires: Timestamp,
    /// Whether it is known to be good; otherwise it may be.
    pub sure: bool,
}

/// What there is.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// By the tunnel's key.
    pub tenants: BTreeMap<PublicKey, Tenant>,
    /// By their values.
    pub tickets: BTreeMap<String, Ticket>,
}

/// What the model goes by besides.
pub struct Rules<'a> {
    pub places: &'a BTreeSet<Slot>,
    /// The clock: it stands still during a step.
    pub now: Timestamp,
    /// Wrong tries at a password, by name, since the process began: of five in
    /// a minute and more it may refuse the next.
    pub tries: &'a BTreeMap<String, u32>,
    /// What was seen afterwards: ids and slots are the store's to give.
    pub seen: &'a Seen,
}

/// Devices a plan allows.
pub fn allowed(plan: &str) -> usize {
    match plan {
        "personal" => 5,
        "home" => 10,
        _ => 50,
    }
}

fn folded(label: &str) -> String {
    DeviceLabel::stored(label).folded()
}

fn row(asked: &Asked, action: &str, object: String) -> Row {
    Row {
        actor: asked.actor(),
        action: action.to_owned(),
        object,
    }
}

impl Tenant {
    /// The lowest address that is free.
    fn free_host(&self) -> u8 {
        let taken: BTreeSet<u8> = self.devices.values().map(|d| d.host).collect();
        (2..=254).find(|h| !taken.contains(h)).unwrap_or(255)
    }

    fn has_label(&self, label: &str, but: Option<PublicKey>) -> bool {
        let others = self.devices.iter().filter(|(k, _)| Some(**k) != but);
        others
            .into_iter()
            .any(|(_, d)| folded(&d.label) == folded(label))
    }

    fn object(&self, label: &str) -> String {
        format!("{}/{label}", self.name)
    }

    /// A device as it is shown.
    pub fn shown(&self, key: PublicKey) -> Option<Shown> {
        let d = self.devices.get(&key)?;
        Some(Shown {
            which: Which { key, id: d.id },
            label: d.label.clone(),
            address: AddressPlan::default().device(self.slot, d.host).to_string(),
            policy: d.policy,
            mesh: d.mesh,
        })
    }
}

impl Model {
    fn of(&self, asked: &Asked) -> Option<&Tenant> {
        self.tenants.get(&asked.wish.who()?.key)
    }

    fn is_taken(&self, name: &str) -> bool {
        self.tenants.values().any(|t| t.name == name)
    }

    /// Whether every place is held, or was somebody else's at that time.
    fn is_full(&self, asked: &Asked, rules: &Rules<'_>) -> bool {
        let held: BTreeSet<Slot> = self.tenants.values().map(|t| t.slot).collect();
        let mut places = rules.places.iter();
        places.all(|p| held.contains(p) || asked.foreign.contains(p))
    }

    /// Whether an operation could be refused like this now, or found this, with
    /// nothing changed by it.
    pub fn leaves_all(&self, asked: &Asked, rules: &Rules<'_>) -> bool {
        let tenant = self.of(asked);
        let device = asked.wish.device();
        let has = |key: PublicKey| self.tenants.contains_key(&key);
        let shown = |which: Which| tenant.and_then(|t| t.shown(which.key));
        match (&asked.wish, &asked.answer) {
            (_, Answer::Nothing) => false,
            (_, Answer::Refused(ErrorCode::DatabaseUnavailable)) => true,
            (Wish::SignUp { name, flaw, .. }, Answer::Refused(code)) => match code {
                ErrorCode::NameTaken => self.is_taken(&name.to_ascii_lowercase()),
                ErrorCode::NodeFull => asked.seemed_full || self.is_full(asked, rules),
                code => Some(*code) == *flaw,
            },
            (Wish::SignIn { name, of, .. }, Answer::Refused(code)) => match code {
                ErrorCode::SignInRefused => !of.is_some_and(has),
                ErrorCode::TooManyTries => rules.tries.get(name).is_some_and(|n| *n >= 5),
                _ => false,
            },
            (Wish::SignIn { of, .. }, Answer::Ok(_)) => of.is_some_and(has),
            (Wish::Arrive { ticket, host }, Answer::Refused(ErrorCode::TicketInvalid)) => {
                !self.is_good(ticket, host, rules)
            }
            (Wish::Arrive { ticket, host }, Answer::Ok(Got::In(id))) => {
                let mut tenants = self.tenants.values();
                let found = tenants.find(|t| t.name == host.as_str());
                let may = self.tickets.get(ticket);
                may.is_some_and(|t| self.fits(t, host, rules)) && found.is_some_and(|t| t.id == *id)
            }
            (Wish::Add { label, .. }, Answer::Refused(code)) => match (tenant, code) {
                (_, ErrorCode::LabelMalformed) => DeviceLabel::parse(label).is_err(),
                (None, code) => *code == ErrorCode::NotFound,
                (Some(t), ErrorCode::DeviceLimit) => t.devices.len() >= allowed(t.plan),
                (Some(t), ErrorCode::LabelTaken) => t.has_label(label, None),
                _ => false,
            },
            (Wish::Change { device, label, .. }, Answer::Refused(code)) => {
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
            // It was so already.
            (Wish::Change { device, .. }, Answer::Ok(Got::Device(got, _))) => {
                let same = shown(*device).is_some_and(|s| s == *got);
                same && self.changed(asked).is_none()
            }
            (
                Wish::Delete { .. } | Wish::Show { .. } | Wish::Download { .. },
                Answer::Refused(code),
            ) => *code == ErrorCode::NotFound && device.and_then(shown).is_none(),
            (
                Wish::Show { device, .. } | Wish::Download { device, .. },
                Answer::Ok(Got::Device(got, _)),
            ) => shown(*device).is_some_and(|s| s == *got),
            (Wish::Look { .. }, Answer::Ok(Got::Rows(rows))) => match tenant {
                Some(t) => *rows == t.rows(),
                // It left between the reading of its row and of its devices.
                None => rows.is_empty(),
            },
            (
                Wish::Look { .. } | Wish::Suspend { .. } | Wish::Leave { .. },
                Answer::Refused(code),
            ) => *code == ErrorCode::NotFound && tenant.is_none(),
            (Wish::Suspend { suspended, .. }, Answer::Ok(_)) => {
                tenant.is_some_and(|t| t.suspended == *suspended)
            }
            _ => false,
        }
    }

    fn fits(&self, t: &Ticket, host: &TenantName, rules: &Rules<'_>) -> bool {
        t.tenant == host.as_str() && (!t.sure || t.expires > rules.now) && self.is_taken(&t.tenant)
    }

    /// Whether a ticket is known to be good there.
    fn is_good(&self, ticket: &str, host: &TenantName, rules: &Rules<'_>) -> bool {
        let known = self.tickets.get(ticket).filter(|t| t.sure);
        known.is_some_and(|t| self.fits(t, host, rules))
    }

    /// The clock has moved: what has expired may have been cleared away.
    pub fn clock_moved(&mut self, now: Timestamp) {
        for t in self.tickets.values_mut() {
            t.sure &= t.expires > now;
        }
    }

    /// Takes out of the model what an operation used up.
    pub fn use_up(&mut self, asked: &Asked) {
        let Wish::Arrive { ticket, .. } = &asked.wish else {
            return;
        };
        let gone = match asked.answer {
            Answer::Ok(_) => true,
            // Brought to another's host, it is used up as well.
            Answer::Refused(ErrorCode::TicketInvalid) => {
                self.tickets.get(ticket).is_some_and(|t| t.sure)
            }
            _ => false,
        };
        if gone {
            self.tickets.remove(ticket);
        }
    }

    /// A device as a change would make it; `None` where nothing would change.
    fn changed(&self, asked: &Asked) -> Option<Device> {
        let Wish::Change {
            device,
            label,
            policy,
            mesh,
            ..
        } = &asked.wish
        else {
            return None;
        };
        let before = self.of(asked)?.devices.get(&device.key)?;
        let after = Device {
            label: label.clone().unwrap_or_else(|| before.label.clone()),
            policy: policy.unwrap_or(before.policy),
            mesh: mesh.unwrap_or(before.mesh),
            ..before.clone()
        };
        (after != *before).then_some(after)
    }

    /// What there is after an operation that changes something, and what it
    /// writes down; `None` where it could not be now, or not with its answer.
    pub fn after(&self, asked: &Asked, rules: &Rules<'_>) -> Option<(Self, Row)> {
        if matches!(asked.answer, Answer::Refused(_)) {
            return None;
        }
        let mut after = self.clone();
        let got = match &asked.answer {
            Answer::Ok(got) => Some(got),
            _ => None,
        };
        let key = super::chance::identity(asked.seed);
        let written = match &asked.wish {
            Wish::SignUp {
                name,
                plan,
                flaw: None,
                ..
            } => {
                if self.is_taken(name) || self.tenants.len() >= rules.places.len() {
                    return None;
                }
                let seen = rules.seen.tenants.get(&key);
                let tenant = Tenant {
                    // Where it is gone again nobody saw them, and nobody asks.
                    id: seen.map_or(TenantId(0), |t| t.id),
                    slot: seen.map_or(Slot::FIRST, |t| t.slot),
                    name: name.clone(),
                    plan,
                    suspended: false,
                    devices: BTreeMap::new(),
                };
                after.tenants.insert(key, tenant);
                row(asked, "tenant.create", name.clone())
            }
            Wish::Add {
                label,
                policy,
                mesh,
                ..
            } => {
                let who = asked.wish.who()?.key;
                let t = after.tenants.get_mut(&who)?;
                DeviceLabel::parse(label).ok()?;
                if t.devices.len() >= allowed(t.plan) || t.has_label(label, None) {
                    return None;
                }
                let seen = rules.seen.tenants.get(&who);
                let id = seen.and_then(|t| t.devices.get(&key)).map(|d| d.id);
                let id = match got {
                    Some(Got::Device(d, _)) => d.which.id,
                    _ => id.unwrap_or(DeviceId(0)),
                };
                let device = Device {
                    id,
                    label: label.clone(),
                    host: t.free_host(),
                    policy: *policy,
                    mesh: *mesh,
                };
                t.devices.insert(key, device);
                if got.is_some_and(|got| !is_shown(got, t.shown(key))) {
                    return None;
                }
                row(asked, "device.add", t.object(label))
            }
            Wish::Change { device, label, .. } => {
                let now = self.changed(asked)?;
                let t = after.tenants.get_mut(&asked.wish.who()?.key)?;
                let taken = |l: &String| t.has_label(l, Some(device.key));
                if label.as_ref().is_some_and(taken) {
                    return None;
                }
                let before = t.devices.insert(device.key, now)?;
                if got.is_some_and(|got| !is_shown(got, t.shown(device.key))) {
                    return None;
                }
                row(asked, "device.change", t.object(&before.label))
            }
            Wish::Delete { device, .. } => {
                let t = after.tenants.get_mut(&asked.wish.who()?.key)?;
                let gone = t.devices.remove(&device.key)?;
                row(asked, "device.delete", t.object(&gone.label))
            }
            Wish::Suspend { suspended, .. } => {
                let t = after.tenants.get_mut(&asked.wish.who()?.key)?;
                if std::mem::replace(&mut t.suspended, *suspended) == *suspended {
                    return None;
                }
                let action = match suspended {
                    true => "tenant.suspend",
                    false => "tenant.resume",
                };
                row(asked, action, t.name.clone())
            }
            Wish::Leave { .. } => {
                let t = after.tenants.remove(&asked.wish.who()?.key)?;
                after.tickets.retain(|_, ticket| ticket.tenant != t.name);
                row(asked, "tenant.delete", t.name)
            }
            _ => return None,
        };
        Some((after, written))
    }

    /// A ticket that somebody was given.
    pub fn give(&mut self, value: &str, tenant: &str, now: Timestamp, sure: bool) {
        // Of very many the oldest go.
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

impl Tenant {
    /// The devices as the dashboard lists them.
    fn rows(&self) -> Vec<(String, String)> {
        let shown = self.devices.keys().filter_map(|k| self.shown(*k));
        let mut rows: Vec<_> = shown.map(|s| (s.label, s.address)).collect();
        rows.sort();
        rows
    }
}

fn is_shown(got: &Got, shown: Option<Shown>) -> bool {
    matches!(got, Got::Device(d, _) if shown.as_ref() == Some(d))
}
