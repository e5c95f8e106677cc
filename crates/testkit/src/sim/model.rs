//! The reference model: the content of the database, the actions of its users,
//! and the revocations that were acknowledged to them.

use super::{rng::SplitMix64, rows::LostRows, stored_spec::StoredSpec};
use crate::samples;
use domain::{
    DeviceId, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey, PublicKey, Secret, Slot,
    TenantName,
};
use protocol::{DeviceSpec, Forward, MovedTenant, NodeSpec, SpeedLimits, TenantLimits, TenantSpec};
use provisioning::NodeSettings;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, OnceLock},
};

/// Few, so that names and slots are soon reused.
const NAMES: [&str; 4] = ["abcd", "efgh", "ijkl", "mnop"];
const SLOTS: std::ops::RangeInclusive<u16> = 1..=4;

/// Some labels are prefixes of others, on purpose.
const LABELS: [&str; 5] = ["phone", "phone 2", "phone 22", "laptop", "laptop (2)"];

/// The revocation of a key or of an address in the mesh.
#[derive(Clone, Copy, Debug)]
pub struct Revocation {
    generation: u64,
    /// The number of the change: after a restore, another has the same generation.
    change: u64,
    /// Whether a user got the answer that it is in force.
    pub acknowledged: bool,
}

impl Revocation {
    fn is_part_of(self, change: UserAction) -> bool {
        self.generation <= change.generation && self.change <= change.change
    }
}

/// A revocation of which a user got the answer that it is in force.
const ACKNOWLEDGED: Revocation = Revocation {
    generation: 0,
    change: 0,
    acknowledged: true,
};

/// A change that a user made.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserAction {
    /// The tenant's slot.
    pub slot: Slot,
    /// The generation it made.
    pub generation: u64,
    /// Its number among all changes.
    pub change: u64,
    /// A description for the trace.
    pub what: &'static str,
    /// Whether the slot's previous tenant has left.
    pub left: bool,
}

/// See the module.
pub struct Model {
    /// What the node should bring into force.
    pub spec: NodeSpec,
    /// The node's fixed settings.
    pub settings: NodeSettings,
    /// Keys that may no longer be peers of a slot's interface.
    pub revoked_keys: BTreeMap<(Slot, PublicKey), Revocation>,
    /// Addresses that may no longer be in the mesh.
    pub revoked_mesh: BTreeMap<(Slot, Ipv4Addr), Revocation>,
    /// The hash of each tenant's DNS password, by the tunnel's key.
    pub passwords: BTreeMap<PublicKey, String>,
    /// Texts that no log may contain.
    pub secrets: Vec<String>,
    history: Vec<NodeSpec>,
    /// Hashes of the DNS passwords of tenants that a restored backup brought
    /// back. They had left, so their data may be on their way out.
    pub(super) came_back: BTreeSet<String>,
    /// What the node has on its disk.
    pub(super) stored: StoredSpec,
    /// The rows that cannot be read.
    pub(super) rows: LostRows,
    removed: Vec<DeviceSpec>,
    rng: SplitMix64,
    next: u16,
    changes: u64,
}

/// Returns key `n`. Keys are slow to make and every history needs some, so they
/// are made once.
fn private_key(n: u16) -> PrivateKey {
    static KEYS: OnceLock<Vec<PrivateKey>> = OnceLock::new();
    let make = |n: u16| {
        let key = samples::key(n, 7);
        key.public();
        key
    };
    let keys = KEYS.get_or_init(|| (0..400).map(make).collect());
    keys.get(usize::from(n)).cloned().unwrap_or_else(|| make(n))
}

impl Model {
    pub(super) fn new(rng: SplitMix64, settings: NodeSettings) -> Self {
        Self {
            spec: NodeSpec::default(),
            settings,
            revoked_keys: BTreeMap::new(),
            revoked_mesh: BTreeMap::new(),
            passwords: BTreeMap::new(),
            secrets: Vec::new(),
            history: Vec::new(),
            came_back: BTreeSet::new(),
            stored: StoredSpec::default(),
            rows: LostRows::default(),
            removed: Vec::new(),
            rng,
            next: 0,
            changes: 0,
        }
    }

    /// Restores the database from a backup, and does what the control plane does
    /// then for a node with the generation `in_force`. Returns whether there is a
    /// backup.
    pub(super) fn restore(&mut self, in_force: u64) -> bool {
        let Some(age) = self.rng.pick((0..self.history.len()).collect::<Vec<_>>()) else {
            return false;
        };
        let backup = self.history.swap_remove(age);
        // What was made later is lost, together with its backups.
        self.history.truncate(age);
        let before = std::mem::replace(&mut self.spec, backup);
        if self.spec.generation < in_force {
            self.spec.generation = in_force + 1;
        }
        let present = |t: &&Arc<TenantSpec>| {
            let mut all = before.tenants.values();
            all.any(|b| b.dns_password_hash == t.dns_password_hash)
        };
        let returned = self.spec.tenants.values().filter(|t| !present(t));
        let returned = returned.map(|t| t.dns_password_hash.clone());
        self.came_back.extend(returned);
        self.revoke(&before);
        true
    }

    fn number(&mut self) -> u16 {
        self.next += 1;
        self.next
    }

    fn device(&mut self, slot: Slot, t: &TenantSpec) -> DeviceSpec {
        let n = self.number();
        let key = private_key(n);
        let psk = PresharedKey::from_random([(n % 251) as u8; 32]);
        self.secrets.push(key.expose().to_string());
        self.secrets.push(psk.expose().to_string());
        let taken: BTreeSet<Ipv4Addr> = t.devices.values().map(|d| d.address).collect();
        let address = (2..=254)
            .map(|host| self.settings.addresses.device(slot, host))
            .find(|a| !taken.contains(a))
            .expect("a handful of devices fits into a subnet");
        let mut device = DeviceSpec {
            label: self.label(t),
            address,
            public_key: key.public(),
            preshared_key: psk,
            mesh: self.rng.percent(50),
            policy: FilterPolicy::ALL[self.rng.below(4) as usize],
            client_id: format!("mn-{n}"),
        };
        // A user reuses the configuration of a removed device.
        if self.rng.percent(20)
            && let Some(old) = self.rng.pick(self.removed.clone())
            && !self.holds(old.public_key)
        {
            device.public_key = old.public_key;
            device.preshared_key = old.preshared_key;
        }
        device
    }

    fn holds(&self, key: PublicKey) -> bool {
        let mut devices = self.spec.tenants.values().flat_map(|t| t.devices.values());
        devices.any(|d| d.public_key == key)
    }

    fn label(&mut self, t: &TenantSpec) -> DeviceLabel {
        let free = |l: &&str| t.devices.values().all(|d| d.label.as_str() != *l);
        let free: Vec<_> = LABELS.into_iter().filter(free).collect();
        let number = self.next;
        let label = self.rng.pick(free).map(str::to_owned);
        let label = label.unwrap_or_else(|| format!("device {number}"));
        DeviceLabel::parse(&label).expect("the model's labels are valid")
    }

    fn tenant(&mut self, slot: Slot, name: &str) -> TenantSpec {
        let n = self.number();
        let private_key = private_key(n);
        let password = format!("dns-secret-{n}-of-{name}");
        let hash = format!("hash-{n}");
        self.secrets.push(private_key.expose().to_string());
        self.secrets.push(password.clone());
        self.passwords.insert(private_key.public(), hash.clone());
        let mut t = TenantSpec {
            name: TenantName::parse(name).expect("the model's names are valid"),
            slot,
            private_key,
            suspended: false,
            asleep: false,
            dns_password: Secret::new(password),
            dns_password_hash: hash,
            limits: self.limits(),
            ipv6: Some(crate::samples::ipv6().subnet(slot)),
            devices: BTreeMap::new(),
        };
        for _ in 0..self.rng.below(3) {
            self.add_device(&mut t);
        }
        t
    }

    /// Draws what a plan and the use of it allow.
    fn limits(&mut self) -> TenantLimits {
        let mut speed = || self.rng.percent(60).then(|| 1_000_000 << self.rng.below(4));
        let speed = SpeedLimits {
            down_bps: speed(),
            up_bps: speed(),
        };
        TenantLimits {
            speed,
            stopped: self.rng.percent(20),
        }
    }

    fn add_device(&mut self, t: &mut TenantSpec) {
        let device = self.device(t.slot, t);
        t.devices.insert(DeviceId(i64::from(self.next)), device);
    }

    /// Makes a random change by a user.
    pub(super) fn act(&mut self) -> Option<UserAction> {
        let before = self.spec.clone();
        let (slot, what) = match self.rng.below(10) {
            0..=1 => self.sign_up(None)?,
            2 => self.leave_or_move()?,
            3 => {
                let (slot, _) = self.leave()?;
                let same = self.rng.percent(50);
                let name = before.tenants.get(&slot)?.name.to_string();
                self.sign_up(same.then_some((slot, name)))?;
                (slot, "leaves, and another tenant signs up")
            }
            _ => self.change()?,
        };
        self.spec.generation += 1;
        self.revoke(&before);
        if self.history.len() == 8 {
            self.history.remove(0);
        }
        self.history.push(before.clone());
        let leaver = |t: &&Arc<TenantSpec>| match self.spec.tenants.get(&slot) {
            Some(now) => now.private_key.public() != t.private_key.public(),
            None => true,
        };
        Some(UserAction {
            slot,
            generation: self.spec.generation,
            change: self.changes,
            what,
            left: before.tenants.get(&slot).filter(leaver).is_some(),
        })
    }

    fn sign_up(&mut self, vacancy: Option<(Slot, String)>) -> Option<(Slot, &'static str)> {
        let tenants = &self.spec.tenants;
        let (slot, name) = match vacancy {
            Some(vacancy) => vacancy,
            None => {
                let slots = SLOTS.filter_map(Slot::new);
                let slots: Vec<_> = slots.filter(|s| !tenants.contains_key(s)).collect();
                let taken = |n: &&str| tenants.values().any(|t| t.name.as_str() == *n);
                let names: Vec<_> = NAMES.into_iter().filter(|n| !taken(n)).collect();
                (self.rng.pick(slots)?, self.rng.pick(names)?.to_owned())
            }
        };
        let t = self.tenant(slot, &name);
        // A name, or a slot, is given again once nothing of the moved tenant is kept.
        let moved = &mut self.spec.moved;
        moved.retain(|of, moved| *of != slot && moved.name != t.name);
        self.spec.tenants.insert(slot, t.into());
        Some((slot, "signs up"))
    }

    /// Lets every second tenant that leaves go to another node. Sometimes what earlier ones
    /// left ends.
    fn leave_or_move(&mut self) -> Option<(Slot, &'static str)> {
        let before = self.spec.tenants.clone();
        let (slot, what) = self.leave()?;
        if self.changes.is_multiple_of(5) {
            self.spec.moved.pop_first();
        }
        if self.changes.is_multiple_of(2) {
            return Some((slot, what));
        }
        let [.., node] = self.changes.to_be_bytes();
        let forward = (node % 4 != 1).then_some(Forward {
            to: Ipv4Addr::new(192, 0, 2, node % 4),
        });
        let name = before.get(&slot)?.name.clone();
        self.spec.moved.insert(slot, MovedTenant { name, forward });
        Some((slot, "moves to another node"))
    }

    fn leave(&mut self) -> Option<(Slot, &'static str)> {
        let slots: Vec<_> = self.spec.tenants.keys().copied().collect();
        let slot = self.rng.pick(slots)?;
        let t = self.spec.tenants.remove(&slot)?;
        self.removed.extend(t.devices.values().cloned());
        Some((slot, "leaves"))
    }

    fn change(&mut self) -> Option<(Slot, &'static str)> {
        let all: Vec<_> = self.spec.tenants.keys().copied().collect();
        let slot = self.rng.pick(all)?;
        let mut t = TenantSpec::clone(self.spec.tenants.get(&slot)?);
        let ids: Vec<_> = t.devices.keys().copied().collect();
        let choice = self.rng.below(10);
        let what = match (choice, self.rng.pick(ids)) {
            (0, _) => {
                t.suspended = !t.suspended;
                "suspends or resumes"
            }
            (1, _) if self.rng.percent(50) => {
                t.limits = self.limits();
                "gets other limits"
            }
            (1..=4, None) | (1..=2, Some(_)) => {
                self.add_device(&mut t);
                "gets a device"
            }
            (3..=5, Some(id)) => {
                self.removed.extend(t.devices.remove(&id));
                "loses a device"
            }
            (6..=7, Some(id)) => {
                let d = t.devices.get_mut(&id)?;
                d.mesh = !d.mesh;
                "changes the mesh"
            }
            (8, Some(id)) => {
                let policy = FilterPolicy::ALL[self.rng.below(4) as usize];
                t.devices.get_mut(&id)?.policy = policy;
                "changes a policy"
            }
            (_, Some(id)) => {
                let label = self.label(&t);
                t.devices.get_mut(&id)?.label = label;
                "renames a device"
            }
            (_, None) => return None,
        };
        self.spec.tenants.insert(slot, t.into());
        Some((slot, what))
    }

    /// Records what the last change revoked and what it granted again.
    fn revoke(&mut self, before: &NodeSpec) {
        let generation = self.spec.generation;
        self.changes += 1;
        let (keys, mesh) = (peers(&self.spec), members(&self.spec));
        let revocation = Revocation {
            generation,
            change: self.changes,
            acknowledged: false,
        };
        let gone = peers(before).into_iter().filter(|at| !keys.contains(at));
        self.revoked_keys.extend(gone.map(|at| (at, revocation)));
        let gone = members(before).into_iter().filter(|at| !mesh.contains(at));
        self.revoked_mesh.extend(gone.map(|at| (at, revocation)));
        // What was granted again is no longer revoked.
        self.revoked_keys.retain(|at, _| !keys.contains(at));
        self.revoked_mesh.retain(|at, _| !mesh.contains(at));
    }

    /// Records the answer to a user that a change is in force.
    pub(super) fn acknowledge(&mut self, change: UserAction) {
        self.acknowledge_gone(change);
        for ((of, _), r) in &mut self.revoked_mesh {
            r.acknowledged |= *of == change.slot && r.is_part_of(change);
        }
    }

    /// Records the answer to a user that a key is no longer a peer of a slot's
    /// interface. For tests with a model and a database of their own.
    pub fn revoke_key(&mut self, slot: Slot, key: PublicKey) {
        self.revoked_keys.insert((slot, key), ACKNOWLEDGED);
    }

    /// Allows a key to be a peer again.
    pub fn allow_key(&mut self, slot: Slot, key: PublicKey) {
        self.revoked_keys.remove(&(slot, key));
    }

    /// Records the answer to a user that an address is no longer in the mesh.
    pub fn revoke_mesh(&mut self, slot: Slot, address: Ipv4Addr) {
        self.revoked_mesh.insert((slot, address), ACKNOWLEDGED);
    }

    /// Allows every address of a slot to be in the mesh again.
    pub fn allow_mesh(&mut self, slot: Slot) {
        self.revoked_mesh.retain(|(of, _), _| *of != slot);
    }

    /// Records the answer to a user that nothing carries packets any more for
    /// the tenant who left a slot with a change.
    pub(super) fn acknowledge_gone(&mut self, change: UserAction) {
        for ((of, _), r) in &mut self.revoked_keys {
            r.acknowledged |= *of == change.slot && r.is_part_of(change);
        }
    }
}

/// Returns the keys that may be peers, with their slots.
fn peers(spec: &NodeSpec) -> BTreeSet<(Slot, PublicKey)> {
    let active = spec.tenants.values().filter(|t| !t.suspended);
    active
        .flat_map(|t| t.devices.values().map(|d| (t.slot, d.public_key)))
        .collect()
}

/// Returns the addresses that may be in the mesh, with their slots.
fn members(spec: &NodeSpec) -> BTreeSet<(Slot, Ipv4Addr)> {
    let active = spec.tenants.values().filter(|t| !t.suspended);
    active
        .flat_map(|t| {
            t.devices
                .values()
                .filter(|d| d.mesh)
                .map(|d| (t.slot, d.address))
        })
        .collect()
}
