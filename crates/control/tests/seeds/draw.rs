//! What people want next, by the seed and by what there is.

use super::{
    asked::{Answer, Asked, Which, Who, Wish},
    model::Model,
};
use domain::{ErrorCode, FilterPolicy, PublicKey, TenantName};
use std::collections::BTreeSet;
use testkit::sim::rng::SplitMix64;

/// Few, so that names are soon used again and two want the same.
const NAMES: [&str; 6] = [
    "abelard",
    "benno",
    "cosima",
    "dorothea",
    "emil",
    "friedrich",
];

/// Few, too; two of them are the same to a person.
const LABELS: [&str; 6] = ["Phone", "phone", "Laptop", "My TV", "Büro", "iPad (2)"];

/// Who wants what, from a stream of the seed's own.
pub struct Draw {
    rng: SplitMix64,
    next: u64,
    /// Whom there was, and which devices: what is gone is asked for too.
    past: Vec<(Who, Vec<Which>)>,
}

impl Draw {
    /// From this stream.
    pub fn new(rng: SplitMix64) -> Self {
        Self {
            rng,
            next: 0,
            past: Vec::new(),
        }
    }

    /// The stream, for whatever else a step draws.
    pub fn rng(&mut self) -> &mut SplitMix64 {
        &mut self.rng
    }

    /// Notes whom there is.
    pub fn remember(&mut self, model: &Model) {
        for (key, t) in &model.tenants {
            let Ok(name) = TenantName::parse(&t.name) else {
                continue;
            };
            let who = Who {
                key: *key,
                id: t.id,
                name,
                slot: t.slot,
            };
            let known = self.past.iter().position(|(w, _)| w.key == *key);
            let at = known.unwrap_or_else(|| {
                self.past.push((who, Vec::new()));
                self.past.len() - 1
            });
            let devices = t.devices.iter().map(|(k, d)| Which { key: *k, id: d.id });
            for which in devices {
                if !self.past[at].1.contains(&which) {
                    self.past[at].1.push(which);
                }
            }
        }
    }

    /// The password of whoever signed up with an operation.
    fn password(key: &PublicKey) -> String {
        let text = key.to_string();
        format!("{} horse battery", &text[..12])
    }

    /// What a step's people want, all at one time.
    pub fn step(&mut self, model: &Model) -> Vec<Asked> {
        let n = 1 + self.rng.below(6);
        let focus = self.rng.percent(60).then(|| self.anybody(model)).flatten();
        // Two at once who want the same name, the last place, the same device.
        let name = self.rng.pick(NAMES).unwrap_or(NAMES[0]);
        let crowd = self.rng.percent(15);
        // Or who want the last places of a plan.
        let fills = !crowd && focus.is_some() && self.rng.percent(12);
        let mut used = BTreeSet::new();
        let mut step = Vec::new();
        for _ in 0..n {
            let seed = self.rng.draw();
            let wish = if crowd || model.tenants.is_empty() {
                self.sign_up(seed, name)
            } else if let Some(who) = focus.clone().filter(|_| fills) {
                self.add(who)
            } else {
                self.wish(seed, model, focus.as_ref(), name)
            };
            if let Wish::Arrive { ticket, .. } = &wish
                && !used.insert(ticket.clone())
            {
                continue;
            }
            let twice = matches!(wish, Wish::Arrive { .. }) && self.rng.percent(40);
            self.ask(&mut step, seed, wish.clone());
            if twice {
                let seed = self.rng.draw();
                self.ask(&mut step, seed, wish);
            }
        }
        step
    }

    fn ask(&mut self, step: &mut Vec<Asked>, seed: u64, wish: Wish) {
        self.next += 1;
        step.push(Asked {
            number: self.next,
            seed,
            wish,
            began: None,
            ended: None,
            answer: Answer::Nothing,
            seemed_full: false,
            foreign: BTreeSet::new(),
        });
    }

    fn sign_up(&mut self, seed: u64, name: &str) -> Wish {
        let password = Self::password(&super::chance::identity(seed));
        let (name, password, plan, flaw) = match self.rng.below(24) {
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
        Wish::SignUp {
            name: name.to_owned(),
            password,
            plan,
            flaw,
        }
    }

    fn wish(&mut self, seed: u64, model: &Model, focus: Option<&Who>, name: &str) -> Wish {
        let anybody = || focus.cloned();
        let Some(who) = anybody().or_else(|| self.anybody(model)) else {
            return self.sign_up(seed, name);
        };
        let suspended = model.tenants.get(&who.key).is_some_and(|t| t.suspended);
        let operator = self.rng.percent(50);
        match self.rng.below(100) {
            0..=5 => {
                // Another's name now and then, and one that nobody has.
                let other = self.rng.percent(60);
                let free = |n: &&str| model.tenants.values().all(|t| t.name != **n);
                let free: Vec<_> = NAMES.into_iter().filter(free).collect();
                let name = self.rng.pick(free).filter(|_| other).unwrap_or(name);
                self.sign_up(seed, name)
            }
            6..=10 => {
                let of = self.rng.percent(70).then_some(who.key);
                let password = of.as_ref().map(Self::password);
                Wish::SignIn {
                    name: who.name.to_string(),
                    password: password.unwrap_or_else(|| "a wrong password".to_owned()),
                    of,
                }
            }
            11..=20 => self.arrive(model, &who),
            21..=45 => self.add(who),
            46..=60 => {
                let label = self.rng.percent(50).then(|| self.label());
                let policy = self.rng.percent(30).then(|| self.policy());
                let mesh = self.rng.percent(60).then(|| self.rng.percent(40));
                match self.device(model, &who) {
                    Some(device) => Wish::Change {
                        who,
                        device,
                        label: label.filter(|l| !l.is_empty()),
                        policy,
                        mesh,
                    },
                    None => Wish::Look { who },
                }
            }
            61..=77 => match self.device(model, &who) {
                Some(device) => Wish::Delete { who, device },
                None => Wish::Look { who },
            },
            78..=80 => match self.device(model, &who) {
                Some(device) => Wish::Show { who, device },
                None => Wish::Look { who },
            },
            81..=84 => match self.device(model, &who) {
                Some(device) => Wish::Download { who, device },
                None => Wish::Look { who },
            },
            85..=88 => Wish::Look { who },
            89..=95 => Wish::Suspend {
                suspended: !suspended ^ self.rng.percent(20),
                who,
            },
            _ => Wish::Leave { who, operator },
        }
    }

    fn add(&mut self, who: Who) -> Wish {
        Wish::Add {
            label: self.label(),
            policy: self.policy(),
            mesh: self.rng.percent(50),
            who,
        }
    }

    /// Somebody, who may have left.
    fn anybody(&mut self, model: &Model) -> Option<Who> {
        let alive = |w: &&(Who, Vec<Which>)| model.tenants.contains_key(&w.0.key);
        let here: Vec<_> = self
            .past
            .iter()
            .filter(alive)
            .map(|p| p.0.clone())
            .collect();
        let all: Vec<_> = self.past.iter().map(|p| p.0.clone()).collect();
        match self.rng.percent(95) && !here.is_empty() {
            true => self.rng.pick(here),
            false => self.rng.pick(all),
        }
    }

    /// A device of theirs, mostly; or another tenant's, or one that is gone.
    fn device(&mut self, model: &Model, who: &Who) -> Option<Which> {
        let theirs = model.tenants.get(&who.key).into_iter();
        let theirs =
            theirs.flat_map(|t| t.devices.iter().map(|(k, d)| Which { key: *k, id: d.id }));
        let theirs: Vec<_> = theirs.collect();
        let all: Vec<_> = self.past.iter().flat_map(|p| p.1.clone()).collect();
        match self.rng.percent(80) && !theirs.is_empty() {
            true => self.rng.pick(theirs),
            false => self.rng.pick(all),
        }
    }

    fn arrive(&mut self, model: &Model, who: &Who) -> Wish {
        let tickets: Vec<_> = model.tickets.iter().collect();
        let Some((value, ticket)) = self.rng.pick(tickets) else {
            return Wish::Look { who: who.clone() };
        };
        // At another tenant's host now and then.
        let host = match TenantName::parse(&ticket.tenant) {
            Ok(name) if self.rng.percent(85) => name,
            _ => who.name.clone(),
        };
        Wish::Arrive {
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
