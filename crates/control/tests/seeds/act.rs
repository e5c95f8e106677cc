//! Carries an operation out on the real `control`, and notes at once what is
//! acknowledged: from that moment on nothing may carry packets any more for
//! what was revoked.

use super::{
    asked::{Answer, Asked, Got, Shown, Which, Wish},
    chance::identity,
};
use control::{Audience, Control, DeviceChange, NewDevice, SignUp};
use domain::{
    ErrorCode, Failure, OperatorScope, PublicKey, Routing, Secret, Slot, TenantScope,
    view::DeviceView,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use testkit::sim::Sim;

/// Which revocations are acknowledged, by the operations that begin and end.
/// Clones are the same.
#[derive(Clone)]
pub struct Acknowledged {
    sim: Sim,
    tenants: Arc<Mutex<BTreeMap<PublicKey, Known>>>,
    told: Arc<(AtomicU64, AtomicU64)>,
}

/// What is known of a tenant whose operations come and go.
#[derive(Default)]
struct Known {
    /// Every device it has had, or may have had.
    devices: BTreeSet<PublicKey>,
    /// Those whose deletion is acknowledged.
    deleted: BTreeSet<PublicKey>,
    /// Operations so far that may let devices in: a resumption.
    resumes: Open,
    /// Those that may let an address into the mesh.
    joins: Open,
}

/// Operations of a kind: how many began, and how many have not ended.
#[derive(Clone, Copy, Default, PartialEq)]
struct Open {
    begun: u64,
    under_way: u64,
}

impl Open {
    fn begin(&mut self) {
        self.begun += 1;
        self.under_way += 1;
    }
}

/// What was under way when an operation began.
pub struct Before {
    resumes: Open,
    joins: Open,
}

impl Acknowledged {
    /// None yet.
    pub fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            tenants: Arc::default(),
            told: Arc::default(),
        }
    }

    /// How many revocations were done so far, and how many of them said to be
    /// in force.
    pub fn count(&self) -> (u64, u64) {
        let n = |n: &AtomicU64| n.load(Ordering::Relaxed);
        (n(&self.told.0), n(&self.told.1))
    }

    /// An operation begins: what it may bring back is no longer forbidden.
    pub fn begins(&self, asked: &Asked) -> Option<Before> {
        let who = asked.wish.who()?;
        let mut tenants = self.tenants.lock().unwrap();
        let known = tenants.entry(who.key).or_default();
        let before = Before {
            resumes: known.resumes,
            joins: known.joins,
        };
        match &asked.wish {
            Wish::Add { .. } => {
                known.devices.insert(identity(asked.seed));
                known.joins.begin();
                self.sim.state().world.let_mesh(who.slot);
            }
            Wish::Change {
                mesh: Some(true), ..
            } => {
                known.joins.begin();
                self.sim.state().world.let_mesh(who.slot);
            }
            Wish::Suspend {
                suspended: false, ..
            } => {
                known.resumes.begin();
                let mut s = self.sim.state();
                for key in known.devices.difference(&known.deleted) {
                    s.world.let_in(who.slot, *key);
                }
            }
            // The slot is somebody else's soon.
            Wish::Leave { .. } => self.sim.state().world.let_mesh(who.slot),
            _ => {}
        }
        Some(before)
    }

    /// An operation ended with an answer.
    pub fn ends(&self, asked: &Asked, before: Option<Before>, answer: &Answer, mesh: Mesh) {
        let (Some(who), Some(before)) = (asked.wish.who(), before) else {
            return;
        };
        let mut tenants = self.tenants.lock().unwrap();
        let known = tenants.entry(who.key).or_default();
        match &asked.wish {
            Wish::Add { .. }
            | Wish::Change {
                mesh: Some(true), ..
            } => known.joins.under_way -= 1,
            Wish::Suspend {
                suspended: false, ..
            } => known.resumes.under_way -= 1,
            _ => {}
        }
        let in_force = match answer {
            Answer::Ok(Got::Done(in_force) | Got::Device(_, in_force)) => *in_force,
            _ => false,
        };
        let revokes = matches!(
            asked.wish,
            Wish::Delete { .. }
                | Wish::Leave { .. }
                | Wish::Suspend {
                    suspended: true,
                    ..
                }
        );
        if revokes && matches!(answer, Answer::Ok(_)) {
            self.told.0.fetch_add(1, Ordering::Relaxed);
            self.told
                .1
                .fetch_add(u64::from(in_force), Ordering::Relaxed);
        }
        if !in_force {
            return;
        }
        let quiet = |then: Open, now: Open| then.under_way == 0 && then == now;
        let mut s = self.sim.state();
        match &asked.wish {
            Wish::Delete { device, .. } => {
                known.deleted.insert(device.key);
                s.world.cut_off(who.slot, device.key);
            }
            Wish::Leave { .. } => {
                for key in &known.devices {
                    s.world.cut_off(who.slot, *key);
                }
            }
            Wish::Suspend {
                suspended: true, ..
            } if quiet(before.resumes, known.resumes) => {
                for key in &known.devices {
                    s.world.cut_off(who.slot, *key);
                }
            }
            _ => {}
        }
        if let Some(address) = mesh.filter(|_| quiet(before.joins, known.joins)) {
            s.world.set_apart(who.slot, address);
        }
        s.check("an acknowledgement");
    }

    /// The process is no more: what was under way got no answer.
    pub fn nobody_waits(&self) {
        for known in self.tenants.lock().unwrap().values_mut() {
            known.joins.under_way = 0;
            known.resumes.under_way = 0;
        }
    }
}

/// An address that is out of the mesh with the answer.
pub type Mesh = Option<Ipv4Addr>;

/// Which address a change's answer takes out of the mesh.
pub fn taken_out(asked: &Asked, answer: &Answer) -> Mesh {
    match (&asked.wish, answer) {
        (
            Wish::Change {
                mesh: Some(false), ..
            },
            Answer::Ok(Got::Device(d, true)),
        ) => d.address.parse().ok(),
        _ => None,
    }
}

fn shown(d: &DeviceView) -> Option<Shown> {
    Some(Shown {
        which: Which {
            key: PublicKey::parse(&d.public_key).ok()?,
            id: d.id,
        },
        label: d.label.clone(),
        address: d.address.clone(),
        policy: d.policy,
        mesh: d.mesh,
    })
}

fn device(d: &DeviceView, in_force: bool) -> Got {
    Got::Device(shown(d).expect("a public key that can be read"), in_force)
}

/// Carries it out; what they were told.
pub async fn perform(control: &Control, asked: &Asked) -> Answer {
    match wish(control, asked).await {
        Ok(got) => Answer::Ok(got),
        Err(f) if f.sentence.contains("is made") => Answer::Ok(Got::Account),
        Err(f) => Answer::Refused(f.code),
    }
}

async fn wish(control: &Control, asked: &Asked) -> Result<Got, Failure> {
    let [_, a, b, c] = (asked.number as u32).to_be_bytes();
    let from = IpAddr::V4(Ipv4Addr::new(100, a, b, c));
    let actor = asked.actor();
    let scope = |who: &super::asked::Who| TenantScope::issue(who.id, who.name.clone(), &actor);
    let operator = OperatorScope::issue(format!("op{}", asked.number));
    match &asked.wish {
        Wish::SignUp {
            name,
            password,
            plan,
            ..
        } => {
            let form = SignUp {
                name: name.clone(),
                password: Secret::new(password.as_str()),
                plan: (*plan).to_owned(),
            };
            let arrival = control.sign_up(form, from).await?;
            Ok(Got::Ticket(arrival.ticket.expose().to_owned()))
        }
        Wish::SignIn { name, password, .. } => {
            let password = Secret::new(password.as_str());
            let arrival = control.sign_in(name, &password, from).await?;
            Ok(Got::Ticket(arrival.ticket.expose().to_owned()))
        }
        Wish::Arrive { ticket, host } => {
            let arrived = control.redeem_tenant(Audience::Dashboard, host, ticket);
            Ok(Got::In(arrived.await?.scope.tenant()))
        }
        Wish::Add {
            who,
            label,
            policy,
            mesh,
        } => {
            let new = NewDevice {
                label: label.clone(),
                routing: Routing::Everything,
                policy: *policy,
                mesh: *mesh,
            };
            let made = control.add_device(&scope(who), new).await?;
            Ok(device(&made, false))
        }
        Wish::Change {
            who,
            device: which,
            label,
            policy,
            mesh,
        } => {
            let change = DeviceChange {
                label: label.clone(),
                policy: *policy,
                mesh: *mesh,
            };
            let changed = control.change_device(&scope(who), which.id, change).await?;
            Ok(device(&changed.device, changed.in_force))
        }
        Wish::Delete { who, device } => match control.delete_device(&scope(who), device.id).await {
            Err(f) if f.code == ErrorCode::NotYetInForce => Ok(Got::Done(false)),
            done => done.map(|()| Got::Done(true)),
        },
        Wish::Show { who, device: which } => {
            let found = control.device(&scope(who), which.id).await?;
            Ok(device(&found, false))
        }
        Wish::Download { who, device: which } => {
            let (found, config) = control.download_config(&scope(who), which.id).await?;
            let of = config.private_key.public();
            assert_eq!(of, which.key, "the configuration of another device");
            Ok(device(&found, false))
        }
        Wish::Look { who } => {
            let view = control.dashboard(&scope(who)).await?;
            let rows = view.devices.into_iter().map(|d| (d.label, d.address));
            let mut rows: Vec<_> = rows.collect();
            rows.sort();
            Ok(Got::Rows(rows))
        }
        Wish::Suspend { who, suspended } => {
            let scope = control.operator_tenant(&operator, who.id).await?;
            let done = control.set_suspended(&scope, *suspended).await?;
            Ok(Got::Done(done))
        }
        Wish::Leave {
            who,
            operator: true,
        } => {
            let scope = control.operator_tenant(&operator, who.id).await?;
            control.delete_tenant(&scope).await.map(Got::Done)
        }
        Wish::Leave {
            who,
            operator: false,
        } => control.delete_tenant(&scope(who)).await.map(Got::Done),
    }
}

/// Places that nobody holds, as the node has it.
pub fn seems_full(
    places: &BTreeSet<Slot>,
    held: &BTreeSet<Slot>,
    foreign: &BTreeSet<Slot>,
) -> bool {
    places.is_subset(&held.union(foreign).copied().collect())
}
