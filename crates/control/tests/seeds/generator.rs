//! Generates the next requests from the seed and the model.

use super::{
    model::Model,
    operations::{Answer, DeviceRef, Operation, Request, TenantRef},
};
use domain::{ErrorCode, FilterPolicy, PublicKey, TenantName};
use std::collections::BTreeSet;
use testkit::sim::rng::SplitMix64;

/// A few names, so that they are soon used again and two clients want the same.
const NAMES: [&str; 6] = [
    "abelard",
    "benno",
    "cosima",
    "dorothea",
    "emil",
    "friedrich",
];

/// A few labels; two of them are the same except for their case.
const LABELS: [&str; 6] = ["Phone", "phone", "Laptop", "My TV", "Büro", "iPad (2)"];

/// Generates operations from a stream of the seed.
pub struct Generator {
    rng: SplitMix64,
    next: u64,
    /// All tenants so far, and their devices: deleted ones are requested as
    /// well.
    past: Vec<(TenantRef, Vec<DeviceRef>)>,
}

impl Generator {
    /// Generates from this stream.
    pub fn new(rng: SplitMix64) -> Self {
        Self {
            rng,
            next: 0,
            past: Vec::new(),
        }
    }

    /// Returns the stream, for other draws of a step.
    pub fn rng(&mut self) -> &mut SplitMix64 {
        &mut self.rng
    }

    /// Remembers the tenants and devices of the model.
    pub fn remember(&mut self, model: &Model) {
        for (key, t) in &model.tenants {
            let Ok(name) = TenantName::parse(&t.name) else {
                continue;
            };
            let tenant = TenantRef {
                key: *key,
                id: t.id,
                name,
                slot: t.slot,
            };
            let known = self.past.iter().position(|(t, _)| t.key == *key);
            let at = known.unwrap_or_else(|| {
                self.past.push((tenant, Vec::new()));
                self.past.len() - 1
            });
            let devices = t
                .devices
                .iter()
                .map(|(k, d)| DeviceRef { key: *k, id: d.id });
            for device in devices {
                if !self.past[at].1.contains(&device) {
                    self.past[at].1.push(device);
                }
            }
        }
    }

    /// Returns the password of the tenant that an operation signed up.
    fn password(key: &PublicKey) -> String {
        let text = key.to_string();
        format!("{} horse battery", &text[..12])
    }

    /// Returns the concurrent operations of a step.
    pub fn step(&mut self, model: &Model) -> Vec<Operation> {
        let n = 1 + self.rng.below(6);
        let focus = self.rng.percent(60).then(|| self.tenant(model)).flatten();
        // Concurrent clients want the same name, the last slot, the same
        // device.
        let name = self.rng.pick(NAMES).unwrap_or(NAMES[0]);
        let crowd = self.rng.percent(15);
        // Or the last devices of a plan.
        let fills = !crowd && focus.is_some() && self.rng.percent(12);
        let mut used = BTreeSet::new();
        let mut step = Vec::new();
        for _ in 0..n {
            let seed = self.rng.draw();
            let request = if crowd || model.tenants.is_empty() {
                self.sign_up(seed, name)
            } else if let Some(tenant) = focus.clone().filter(|_| fills) {
                self.add(tenant)
            } else {
                self.request(seed, model, focus.as_ref(), name)
            };
            if let Request::Redeem { ticket, .. } = &request
                && !used.insert(ticket.clone())
            {
                continue;
            }
            let twice = matches!(request, Request::Redeem { .. }) && self.rng.percent(40);
            self.push(&mut step, seed, request.clone());
            if twice {
                let seed = self.rng.draw();
                self.push(&mut step, seed, request);
            }
        }
        step
    }

    fn push(&mut self, step: &mut Vec<Operation>, seed: u64, request: Request) {
        self.next += 1;
        step.push(Operation {
            number: self.next,
            seed,
            request,
            began: None,
            ended: None,
            answer: Answer::Lost,
            seemed_full: false,
            foreign: BTreeSet::new(),
        });
    }

    fn sign_up(&mut self, seed: u64, name: &str) -> Request {
        let password = Self::password(&super::entropy::identity(seed));
        let (name, password, plan, expected_error) = match self.rng.below(24) {
            0 => ("admin", password, "home", Some(ErrorCode::NameReserved)),
            1 => ("a", password, "home", Some(ErrorCode::NameMalformed)),
            2 => (
                name,
                "short".to_owned(),
                "home",
                Some(ErrorCode::PasswordWeak),
            ),
            3 => (
                name,
                "aaaaaaaaaaaa".to_owned(),
                "home",
                Some(ErrorCode::PasswordWeak),
            ),
            4 => (
                name,
                password,
                "free-for-ever",
                Some(ErrorCode::PlanUnknown),
            ),
            5..=8 => (name, password, "home", None),
            _ => (name, password, "personal", None),
        };
        Request::SignUp {
            name: name.to_owned(),
            password,
            plan,
            expected_error,
        }
    }

    fn request(
        &mut self,
        seed: u64,
        model: &Model,
        focus: Option<&TenantRef>,
        name: &str,
    ) -> Request {
        let Some(tenant) = focus.cloned().or_else(|| self.tenant(model)) else {
            return self.sign_up(seed, name);
        };
        let suspended = model.tenants.get(&tenant.key).is_some_and(|t| t.suspended);
        let operator = self.rng.percent(50);
        match self.rng.below(100) {
            0..=5 => {
                // Sometimes another tenant's name, and sometimes one that is
                // available.
                let other = self.rng.percent(60);
                let free = |n: &&str| model.tenants.values().all(|t| t.name != **n);
                let free: Vec<_> = NAMES.into_iter().filter(free).collect();
                let name = self.rng.pick(free).filter(|_| other).unwrap_or(name);
                self.sign_up(seed, name)
            }
            6..=10 => {
                let owner = self.rng.percent(70).then_some(tenant.key);
                let password = owner.as_ref().map(Self::password);
                Request::SignIn {
                    name: tenant.name.to_string(),
                    password: password.unwrap_or_else(|| "a wrong password".to_owned()),
                    owner,
                }
            }
            11..=20 => self.redeem(model, &tenant),
            21..=45 => self.add(tenant),
            46..=60 => {
                let label = self.rng.percent(50).then(|| self.label());
                let policy = self.rng.percent(30).then(|| self.policy());
                let mesh = self.rng.percent(60).then(|| self.rng.percent(40));
                match self.device(model, &tenant) {
                    Some(device) => Request::ChangeDevice {
                        tenant,
                        device,
                        label: label.filter(|l| !l.is_empty()),
                        policy,
                        mesh,
                    },
                    None => Request::ViewDashboard { tenant },
                }
            }
            61..=77 => match self.device(model, &tenant) {
                Some(device) => Request::DeleteDevice { tenant, device },
                None => Request::ViewDashboard { tenant },
            },
            78..=80 => match self.device(model, &tenant) {
                Some(device) => Request::ViewDevice { tenant, device },
                None => Request::ViewDashboard { tenant },
            },
            81..=84 => match self.device(model, &tenant) {
                Some(device) => Request::DownloadConfig { tenant, device },
                None => Request::ViewDashboard { tenant },
            },
            85..=88 => Request::ViewDashboard { tenant },
            89..=95 => Request::SetSuspended {
                suspended: !suspended ^ self.rng.percent(20),
                tenant,
            },
            _ => Request::DeleteTenant { tenant, operator },
        }
    }

    fn add(&mut self, tenant: TenantRef) -> Request {
        Request::AddDevice {
            label: self.label(),
            policy: self.policy(),
            mesh: self.rng.percent(50),
            tenant,
        }
    }

    /// Returns a tenant, which may have been deleted.
    fn tenant(&mut self, model: &Model) -> Option<TenantRef> {
        let exists = |w: &&(TenantRef, Vec<DeviceRef>)| model.tenants.contains_key(&w.0.key);
        let existing: Vec<_> = self
            .past
            .iter()
            .filter(exists)
            .map(|p| p.0.clone())
            .collect();
        let all: Vec<_> = self.past.iter().map(|p| p.0.clone()).collect();
        match self.rng.percent(95) && !existing.is_empty() {
            true => self.rng.pick(existing),
            false => self.rng.pick(all),
        }
    }

    /// Returns a device, mostly of this tenant, or another tenant's, or a
    /// deleted one.
    fn device(&mut self, model: &Model, tenant: &TenantRef) -> Option<DeviceRef> {
        let own = model.tenants.get(&tenant.key).into_iter();
        let own = own.flat_map(|t| {
            t.devices
                .iter()
                .map(|(k, d)| DeviceRef { key: *k, id: d.id })
        });
        let own: Vec<_> = own.collect();
        let all: Vec<_> = self.past.iter().flat_map(|p| p.1.clone()).collect();
        match self.rng.percent(80) && !own.is_empty() {
            true => self.rng.pick(own),
            false => self.rng.pick(all),
        }
    }

    fn redeem(&mut self, model: &Model, tenant: &TenantRef) -> Request {
        let tickets: Vec<_> = model.tickets.iter().collect();
        let Some((value, ticket)) = self.rng.pick(tickets) else {
            return Request::ViewDashboard {
                tenant: tenant.clone(),
            };
        };
        // Sometimes at another tenant's host.
        let host = match TenantName::parse(&ticket.tenant) {
            Ok(name) if self.rng.percent(85) => name,
            _ => tenant.name.clone(),
        };
        Request::Redeem {
            ticket: value.clone(),
            host,
        }
    }

    fn label(&mut self) -> String {
        if self.rng.percent(3) {
            return String::new();
        }
        let some = self.rng.pick(LABELS).unwrap_or("Phone").to_owned();
        match self.rng.percent(60) {
            true => format!("{some} {}", self.rng.below(1_000)),
            false => some,
        }
    }

    fn policy(&mut self) -> FilterPolicy {
        let policies = FilterPolicy::ALL.iter().copied();
        self.rng.pick(policies).unwrap_or_default()
    }
}
