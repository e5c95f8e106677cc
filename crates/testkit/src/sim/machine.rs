//! The machine of the simulation: what it holds, and what each port's call
//! makes of it, whole or in part. Here are no faults and no time; the rules
//! are those of the real sides, conflicts of names, addresses and ports too.

use super::rng::SplitMix64;
use domain::{ErrorCode, PublicKey, Slot};
use provisioning::{
    observed::{
        ContainerState, ObservedContainer, ObservedContainers, ObservedDns, ObservedDnsClient,
        ObservedFirewall, ObservedFirewallTenant, ObservedFolder, ObservedInterface, ObservedPeer,
        content_hash,
    },
    plan::is_ours,
    ports::{FirewallChange, PeerChange, PortError, PortResult, tenant_of_folder},
    spec::{ContainerSpec, DnsClient, DnsInstance, InterfaceSpec, PeerSpec, TenantSpec},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

/// How much of a call happens.
#[derive(Clone, Debug)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Some of it, by this chance; then it broke off.
    Part(SplitMix64),
}

/// A container of ours.
#[derive(Clone, Debug)]
pub struct Container {
    /// As the engine shows it.
    pub seen: ObservedContainer,
    /// Whose it is.
    pub owner: PublicKey,
    /// Its address on the bridge.
    pub address: Ipv4Addr,
    /// The folder its configuration is mounted from.
    pub folder: String,
    /// What it serves by, once it runs.
    pub serving: Option<Config>,
    /// The engine started it after we had given up: nothing we do next could
    /// have prevented that.
    pub late: bool,
}

/// AdGuard Home's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The hash of the tenant's password: whose it is.
    pub password_hash: String,
    /// Persistent clients with an id of ours.
    pub clients: BTreeMap<String, ObservedDnsClient>,
}

/// A tenant's folder.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// As it is read.
    pub seen: ObservedFolder,
    /// Whether there is a folder for AdGuard Home's configuration in it.
    pub conf_dir: bool,
    /// AdGuard Home's configuration.
    pub config: Option<Config>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Machine {
    /// Interfaces with slots' names.
    pub interfaces: BTreeMap<Slot, ObservedInterface>,
    /// Slots whose UDP port another program holds.
    pub held_ports: BTreeSet<Slot>,
    /// Our table.
    pub firewall: ObservedFirewall,
    /// Slots whose elements another hand took away, and which do not stand yet
    /// again: until then nobody could have known.
    pub flushed: BTreeSet<Slot>,
    /// Slots whose tunnel a process asked for that has died since, and got no
    /// answer yet.
    pub asked: BTreeSet<Slot>,
    /// Whether the image is there.
    pub image: bool,
    /// Containers of ours.
    pub containers: Vec<Container>,
    /// Other people's containers with names of ours.
    pub strangers: BTreeSet<String>,
    /// Folders below `users/`.
    pub folders: BTreeMap<String, Folder>,
    /// An effect is coming in after its caller gave up.
    pub settling: bool,
    pub(super) next_id: u64,
}

fn refuse<T>(code: ErrorCode, sentence: &str) -> PortResult<T> {
    Err(PortError::new(code, sentence))
}

fn broke_off<T>() -> PortResult<T> {
    refuse(ErrorCode::Internal, "it broke off half-way (simulated)")
}

/// A peer as WireGuard shows it.
pub fn peer(p: &PeerSpec) -> ObservedPeer {
    ObservedPeer {
        preshared_key: Some(p.preshared_key.clone()),
        allowed_ips: [IpAddr::from(p.address).into()].into(),
    }
}

/// Clients as AdGuard Home shows them.
pub fn known(clients: &BTreeMap<String, DnsClient>) -> BTreeMap<String, ObservedDnsClient> {
    let shown = |c: &DnsClient| ObservedDnsClient {
        name: c.name.clone(),
        addresses: [c.address].into(),
        policy: Some(c.policy),
    };
    clients
        .iter()
        .map(|(id, c)| (id.clone(), shown(c)))
        .collect()
}

/// Carries out some of a list's steps, in their order.
fn first_of<T>(steps: Vec<T>, extent: &mut Extent, mut each: impl FnMut(T)) {
    let n = match extent {
        Extent::Whole => steps.len(),
        Extent::Part(rng) => rng.below(steps.len() as u64 + 1) as usize,
    };
    steps.into_iter().take(n).for_each(&mut each);
}

fn end(extent: &Extent) -> PortResult<()> {
    match extent {
        Extent::Whole => Ok(()),
        Extent::Part(_) => broke_off(),
    }
}

/// WireGuard.
impl Machine {
    pub(super) fn ensure(&mut self, spec: &InterfaceSpec, mut extent: Extent) -> PortResult<()> {
        let stands = self.interfaces.get(&spec.slot);
        if stands.is_some_and(|i| !is_ours(i)) {
            return refuse(ErrorCode::NameForeign, "somebody else's interface");
        }
        let port = spec.slot.listen_port();
        let has_port = stands.is_some_and(|i| i.listen_port == port);
        let others = self.interfaces.iter().filter(|(s, _)| **s != spec.slot);
        let taken = others.into_iter().any(|(_, i)| i.listen_port == port);
        if !has_port && (taken || self.held_ports.contains(&spec.slot)) {
            return refuse(ErrorCode::PortTaken, "another program holds the port");
        }
        let fresh = ObservedInterface {
            owner: Some(spec.owner.clone()),
            public_key: Some(spec.private_key.public()),
            listen_port: port,
            addresses: [spec.address].into(),
            // Made under a draft's name and renamed when it is whole: of a
            // half, only that it is not up yet is ever seen.
            up: matches!(extent, Extent::Whole),
            peers: spec.peers.iter().map(|(k, p)| (*k, peer(p))).collect(),
        };
        match self.interfaces.get_mut(&spec.slot) {
            Some(i) if i.owner.as_ref() == Some(&spec.owner) => {
                i.public_key = fresh.public_key;
                i.listen_port = port;
                let change = provisioning::plan::peer_change(spec, i);
                change_peers(i, &change, &mut extent);
                if matches!(extent, Extent::Whole) {
                    *i = fresh;
                }
            }
            // Another tenant's is taken away first.
            stands => {
                let gone = stands.is_some();
                let made = match &mut extent {
                    Extent::Whole => true,
                    Extent::Part(rng) => rng.percent(50),
                };
                if gone {
                    self.interfaces.remove(&spec.slot);
                }
                if made {
                    self.interfaces.insert(spec.slot, fresh);
                }
            }
        }
        end(&extent)
    }

    pub(super) fn change_peers(
        &mut self,
        slot: Slot,
        change: &PeerChange,
        mut extent: Extent,
    ) -> PortResult<()> {
        let Some(i) = self.interfaces.get_mut(&slot) else {
            return refuse(ErrorCode::Internal, "no such interface");
        };
        if !is_ours(i) {
            return refuse(ErrorCode::NameForeign, "somebody else's interface");
        }
        change_peers(i, change, &mut extent);
        end(&extent)
    }

    pub(super) fn delete(&mut self, slot: Slot, extent: Extent) -> PortResult<()> {
        if self.interfaces.get(&slot).is_some_and(|i| !is_ours(i)) {
            return refuse(ErrorCode::NameForeign, "somebody else's interface");
        }
        self.interfaces.remove(&slot);
        end(&extent)
    }
}

fn change_peers(i: &mut ObservedInterface, change: &PeerChange, extent: &mut Extent) {
    let gone = change.remove.iter().map(|k| (*k, None));
    let set = change.set.iter().map(|(k, p)| (*k, Some(peer(p))));
    first_of(
        gone.chain(set).collect(),
        extent,
        |(key, peer)| match peer {
            None => {
                i.peers.remove(&key);
            }
            Some(peer) => {
                // An address belongs to one peer: whom it is given last.
                for other in i.peers.values_mut() {
                    other.allowed_ips.retain(|a| !peer.allowed_ips.contains(a));
                }
                i.peers.insert(key, peer);
            }
        },
    );
}

/// One element of one set of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Element {
    Ours,
    Gateway(Ipv4Addr),
    Net(ipnet::Ipv4Net),
    Mesh(Ipv4Addr),
    Dns(Ipv4Addr),
}

fn elements(slot: Slot, t: &ObservedFirewallTenant) -> BTreeSet<(Slot, Element)> {
    let all = t.listed.then_some(Element::Ours).into_iter();
    all.chain(t.gateways.iter().map(|a| Element::Gateway(*a)))
        .chain(t.subnets.iter().map(|n| Element::Net(*n)))
        .chain(t.mesh.iter().map(|a| Element::Mesh(*a)))
        .chain(t.dns.map(Element::Dns))
        .map(|e| (slot, e))
        .collect()
}

fn of_elements(all: &BTreeSet<(Slot, Element)>) -> BTreeMap<Slot, ObservedFirewallTenant> {
    let mut tenants = BTreeMap::<Slot, ObservedFirewallTenant>::new();
    for (slot, element) in all {
        let t = tenants.entry(*slot).or_default();
        match *element {
            Element::Ours => t.listed = true,
            Element::Gateway(a) => drop(t.gateways.insert(a)),
            Element::Net(n) => drop(t.subnets.insert(n)),
            Element::Mesh(a) => drop(t.mesh.insert(a)),
            Element::Dns(a) => t.dns = Some(a),
        }
    }
    tenants
}

/// The firewall.
impl Machine {
    /// A transaction: whole or not at all. It fails where an element it
    /// deletes is not there, or a map's key has another value already.
    pub(super) fn apply(&mut self, change: &FirewallChange, extent: Extent) -> PortResult<()> {
        let mut have = BTreeSet::new();
        let mut want = BTreeSet::new();
        for (slot, stands) in &change.remove {
            have.extend(elements(*slot, stands));
        }
        for (stands, t) in &change.set {
            have.extend(elements(t.slot, stands));
            want.extend(elements(t.slot, &ObservedFirewallTenant::of(t)));
        }
        if change.rebuild {
            self.firewall.tenants = of_elements(&want);
            self.firewall.complete = matches!(extent, Extent::Whole);
            // What stands since before is as it was, and nobody knows any more
            // what a process asked for that has died. Nothing else may come.
            let (stand, asked) = (&self.interfaces, &self.asked);
            self.flushed
                .retain(|slot| stand.contains_key(slot) || asked.contains(slot));
            return end(&extent);
        }
        let tenants = self.firewall.tenants.iter();
        let mut now: BTreeSet<_> = tenants.flat_map(|(s, t)| elements(*s, t)).collect();
        for gone in have.difference(&want) {
            if !now.remove(gone) {
                return refuse(ErrorCode::FirewallUnavailable, "no such element");
            }
        }
        for new in want.difference(&have) {
            let is_dns = |e: &Element| matches!(e, Element::Dns(_));
            let other = |(s, e): &(Slot, Element)| *s == new.0 && is_dns(e) && *e != new.1;
            if is_dns(&new.1) && now.iter().any(other) {
                return refuse(ErrorCode::FirewallUnavailable, "the map has another value");
            }
            now.insert(*new);
        }
        self.firewall.tenants = of_elements(&now);
        end(&extent)
    }
}

/// Containers.
impl Machine {
    pub(super) fn observe_containers(&self) -> ObservedContainers {
        ObservedContainers {
            image: self.image,
            ours: self.containers.iter().map(|c| c.seen.clone()).collect(),
            foreign: self.strangers.clone(),
        }
    }

    pub(super) fn start(&mut self, spec: &ContainerSpec, extent: Extent) -> PortResult<()> {
        let name = spec.tenant.container();
        if self.strangers.contains(&name) {
            return refuse(ErrorCode::NameForeign, "somebody else's container");
        }
        if !self.containers.iter().any(|c| c.seen.name == name) {
            if !self.image {
                return refuse(ErrorCode::ImageMissing, "no image");
            }
            self.next_id += 1;
            self.containers.push(Container {
                seen: ObservedContainer {
                    id: format!("c{}", self.next_id),
                    name: name.clone(),
                    slot: Some(spec.slot),
                    revision: spec.revision(),
                    state: ContainerState::Stopped,
                },
                owner: spec.owner,
                address: spec.address,
                folder: spec.tenant.folder(),
                serving: None,
                late: self.settling,
            });
        }
        end(&extent)?;
        let another = |c: &Container| !spec.is_fitting(&c.seen.revision, false);
        if self
            .containers
            .iter()
            .any(|c| c.seen.name == name && another(c))
        {
            return refuse(ErrorCode::Busy, "it was made from something else");
        }
        let lies =
            |c: &Container| c.address == spec.address && c.seen.name != name && c.serving.is_some();
        let taken = self.containers.iter().any(lies);
        let Some(c) = self.containers.iter_mut().find(|c| c.seen.name == name) else {
            return broke_off();
        };
        match c.seen.state {
            ContainerState::Running => return Ok(()),
            ContainerState::Paused => {}
            ContainerState::Stopped if taken => {
                return refuse(ErrorCode::DnsUnavailable, "Address already in use");
            }
            ContainerState::Stopped => {
                let folder = self.folders.get(&c.folder).filter(|f| f.conf_dir);
                let Some(folder) = folder else {
                    return refuse(ErrorCode::DnsUnavailable, "bind source does not exist");
                };
                // Without one it serves an install wizard without a password.
                c.serving = Some(folder.config.clone().unwrap_or(Config {
                    password_hash: "wizard".to_owned(),
                    clients: BTreeMap::new(),
                }));
                c.late = self.settling;
            }
            _ => return refuse(ErrorCode::DnsUnavailable, "it is marked for removal"),
        }
        c.seen.state = ContainerState::Running;
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &str, mut extent: Extent) -> PortResult<()> {
        if self.strangers.contains(id) {
            return refuse(ErrorCode::NameForeign, "somebody else's container");
        }
        let is = |c: &Container| c.seen.id == id || c.seen.name == id;
        if let Extent::Part(rng) = &mut extent {
            // Stopped and not removed; or the engine is still at it (it ends
            // that some time, see `end_removals`).
            let state = match rng.percent(50) {
                true => ContainerState::Stopped,
                false => ContainerState::Removing,
            };
            for c in self.containers.iter_mut().filter(|c| is(c)) {
                c.seen.state = state;
                c.serving = None;
            }
        } else {
            self.containers.retain(|c| !is(c));
        }
        end(&extent)
    }
}

/// The engine's own end of a removal that was broken off: it is gone, or was
/// busy and is called dead.
impl Machine {
    pub(super) fn is_removing(&self) -> bool {
        let mut all = self.containers.iter();
        all.any(|c| c.seen.state == ContainerState::Removing)
    }

    pub(super) fn end_removals(&mut self, gone: bool) {
        let removing = |c: &Container| c.seen.state == ContainerState::Removing;
        self.containers.retain(|c| !(gone && removing(c)));
        for c in self.containers.iter_mut().filter(|c| removing(c)) {
            c.seen.state = ContainerState::Dead;
        }
    }
}

/// The folder a path of a tenant's AdGuard Home lies in
/// (`<folder>/adguard_data/conf`).
fn folder_of(conf_dir: &Path) -> String {
    let folder = conf_dir.parent().and_then(Path::parent);
    let name = folder.and_then(Path::file_name).unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// AdGuard Home.
impl Machine {
    pub(super) fn prepare(
        &mut self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
        extent: Extent,
    ) -> PortResult<()> {
        let folder = self.folders.entry(folder_of(&dns.conf_dir)).or_default();
        folder.conf_dir = true;
        // The configuration is written last.
        end(&extent)?;
        // What an earlier tenant of that name left is set aside.
        let mine = |c: &mut Config| c.password_hash == dns.password_hash;
        let config = folder.config.take_if(mine).unwrap_or_else(|| Config {
            password_hash: dns.password_hash.clone(),
            clients: known(clients),
        });
        folder.config = Some(config);
        Ok(())
    }

    /// The container that answers at an address, if the password is its own.
    fn answering(&mut self, dns: &DnsInstance) -> PortResult<&mut Container> {
        let at = |c: &&mut Container| {
            c.address == dns.address && c.seen.state == ContainerState::Running
        };
        let Some(c) = self.containers.iter_mut().find(at) else {
            return refuse(ErrorCode::DnsUnavailable, "connection refused");
        };
        match &c.serving {
            Some(config) if config.password_hash == dns.password_hash => Ok(c),
            _ => refuse(ErrorCode::DnsUnavailable, "401: another password"),
        }
    }

    pub(super) fn observe_dns(&mut self, dns: &DnsInstance) -> PortResult<ObservedDns> {
        let c = self.answering(dns)?;
        Ok(ObservedDns {
            running: true,
            clients: c
                .serving
                .as_ref()
                .map(|s| s.clients.clone())
                .unwrap_or_default(),
        })
    }

    pub(super) fn set_clients(
        &mut self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
        mut extent: Extent,
    ) -> PortResult<()> {
        let c = self.answering(dns)?;
        let Some(serving) = &mut c.serving else {
            return broke_off();
        };
        let wanted = known(clients);
        let stands = serving.clients.clone();
        let gone = stands.keys().filter(|id| !wanted.contains_key(*id));
        let set = wanted.iter().map(|(id, c)| (id.clone(), Some(c.clone())));
        let steps = gone.map(|id| (id.clone(), None)).chain(set).collect();
        first_of(steps, &mut extent, |(id, client)| match client {
            None => drop(serving.clients.remove(&id)),
            Some(client) => drop(serving.clients.insert(id, client)),
        });
        // It writes its configuration at every change.
        let (name, now) = (c.folder.clone(), serving.clone());
        let config = self.folders.get_mut(&name).and_then(|f| f.config.as_mut());
        if let Some(config) = config.filter(|f| f.password_hash == now.password_hash) {
            *config = now;
        }
        end(&extent)
    }
}

/// What a tenant's folder looks like once it is written.
pub fn written(t: &TenantSpec) -> ObservedFolder {
    let conf = format!("{}.conf", t.slot.interface());
    ObservedFolder {
        wg_confs: [(conf, content_hash(t.wg_conf().expose().as_bytes()))].into(),
        owner: Some(t.private_key.public().to_string()),
    }
}

/// Folders.
impl Machine {
    pub(super) fn observe_folders(&self) -> BTreeMap<String, ObservedFolder> {
        let folders = self.folders.iter();
        folders.map(|(n, f)| (n.clone(), f.seen.clone())).collect()
    }

    pub(super) fn write_folder(&mut self, t: &TenantSpec, mut extent: Extent) -> PortResult<()> {
        let folder = &mut self.folders.entry(t.name.folder()).or_default().seen;
        let done = written(t);
        // Keys, then stale configurations go, then the configuration.
        first_of(vec![0, 1, 2], &mut extent, |step| match step {
            0 => folder.owner.clone_from(&done.owner),
            1 => folder.wg_confs.retain(|n, _| done.wg_confs.contains_key(n)),
            _ => folder.wg_confs.clone_from(&done.wg_confs),
        });
        end(&extent)
    }

    pub(super) fn remove_folder(&mut self, name: &str, mut extent: Extent) -> PortResult<()> {
        if tenant_of_folder(name).is_none() {
            return refuse(ErrorCode::Internal, "not a tenant's folder");
        }
        // It goes from its name at once; what breaks off later is out of sight.
        let gone = match &mut extent {
            Extent::Whole => true,
            Extent::Part(rng) => rng.percent(50),
        };
        if gone {
            self.folders.remove(name);
        }
        end(&extent)
    }
}
