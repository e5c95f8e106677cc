//! A machine in memory behind every port, with fault switches: each call can
//! be made to fail or hang on demand. It keeps the ports' contracts (idempotent,
//! foreign things untouched) and records what was asked of it.

use async_trait::async_trait;
use domain::{ErrorCode, PublicKey, Slot, TenantName, Timestamp, view::QueryCounts};
use futures_util::stream::{self, BoxStream, StreamExt};
use provisioning::{
    observed::{
        ContainerState, ObservedContainer, ObservedContainers, ObservedDns, ObservedDnsClient,
        ObservedFirewall, ObservedFirewallTenant, ObservedFolder, ObservedInterface, ObservedPeer,
        PeerStatistics, content_hash,
    },
    ports::{
        Clock, Containers, DnsFilter, Firewall, FirewallChange, Folders, PeerChange, PortError,
        PortResult, SpecSource, WireGuard, tenant_of_folder,
    },
    spec::{ContainerSpec, DnsClient, DnsInstance, InterfaceSpec, NodeSpec, PeerSpec, TenantSpec},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

/// What the machine holds. Tests read it, and write it as "another hand".
#[derive(Debug, Default)]
pub struct State {
    /// Interfaces with slots' names.
    pub interfaces: BTreeMap<Slot, ObservedInterface>,
    /// Our table.
    pub firewall: ObservedFirewall,
    /// The image and the containers.
    pub containers: ObservedContainers,
    /// AdGuard Homes, by their address.
    pub dns: BTreeMap<IpAddr, ObservedDns>,
    /// Tenants' folders, by their names.
    pub folders: BTreeMap<String, ObservedFolder>,
    /// Counters by peer: (rx, tx).
    pub counters: BTreeMap<PublicKey, (u64, u64)>,
    /// Calls that fail from now on, by name, e.g. `wireguard.ensure`.
    pub failing: BTreeSet<&'static str>,
    /// Calls that never come back, by name.
    pub hanging: BTreeSet<&'static str>,
    /// Every changing call in order, with its slot where it has one.
    pub calls: Vec<(&'static str, Option<Slot>)>,
    next_id: u64,
}

/// The machine. Clones are the same machine.
#[derive(Clone, Debug, Default)]
pub struct FakeMachine {
    state: Arc<Mutex<State>>,
}

impl FakeMachine {
    /// An empty machine that has the image.
    pub fn new() -> Self {
        let machine = Self::default();
        machine.state().containers.image = true;
        machine
    }

    /// What it holds.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call fail, or work again.
    pub fn fail(&self, call: &'static str, fails: bool) {
        let mut s = self.state();
        if fails {
            s.failing.insert(call)
        } else {
            s.failing.remove(call)
        };
    }

    /// Makes a call hang for ever.
    pub fn hang(&self, call: &'static str) {
        self.state().hanging.insert(call);
    }

    async fn gate(&self, call: &'static str) -> PortResult<()> {
        let (hangs, fails) = {
            let s = self.state();
            (s.hanging.contains(call), s.failing.contains(call))
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        if fails {
            Err(PortError::new(
                ErrorCode::Internal,
                format!("{call} fails on demand"),
            ))
        } else {
            Ok(())
        }
    }
}

fn peer(p: &PeerSpec) -> ObservedPeer {
    ObservedPeer {
        preshared_key: Some(p.preshared_key.clone()),
        allowed_ips: [IpAddr::from(p.address).into()].into(),
    }
}

#[async_trait]
impl WireGuard for FakeMachine {
    fn describe(&self) -> String {
        "WireGuard of the test kit".to_owned()
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        self.gate("wireguard.observe").await?;
        Ok(self.state().interfaces.clone())
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        self.gate("wireguard.ensure").await?;
        let mut s = self.state();
        if s.interfaces
            .get(&spec.slot)
            .is_some_and(|i| !provisioning::plan::is_ours(i))
        {
            return Err(PortError::new(
                ErrorCode::NameForeign,
                "somebody else's interface",
            ));
        }
        s.calls.push(("wireguard.ensure", Some(spec.slot)));
        let interface = ObservedInterface {
            owner: Some(spec.owner.clone()),
            public_key: Some(spec.private_key.public()),
            listen_port: spec.slot.listen_port(),
            addresses: [spec.address].into(),
            up: true,
            peers: spec.peers.iter().map(|(k, p)| (*k, peer(p))).collect(),
        };
        s.interfaces.insert(spec.slot, interface);
        Ok(())
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        self.gate("wireguard.change_peers").await?;
        let mut s = self.state();
        s.calls.push(("wireguard.change_peers", Some(slot)));
        let i = s
            .interfaces
            .get_mut(&slot)
            .ok_or_else(|| PortError::new(ErrorCode::Internal, "no such interface"))?;
        i.peers.retain(|k, _| !change.remove.contains(k));
        i.peers
            .extend(change.set.iter().map(|(k, p)| (*k, peer(p))));
        Ok(())
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        self.gate("wireguard.delete").await?;
        let mut s = self.state();
        s.calls.push(("wireguard.delete", Some(slot)));
        if s.interfaces
            .get(&slot)
            .is_some_and(|i| !provisioning::plan::is_ours(i))
        {
            return Err(PortError::new(
                ErrorCode::NameForeign,
                "somebody else's interface",
            ));
        }
        s.interfaces.remove(&slot);
        Ok(())
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        self.gate("wireguard.statistics").await?;
        let s = self.state();
        let all = s
            .interfaces
            .iter()
            .flat_map(|(slot, i)| i.peers.keys().map(|k| (*slot, *k)));
        Ok(all
            .map(|(slot, public_key)| {
                let (rx_bytes, tx_bytes) = s.counters.get(&public_key).copied().unwrap_or_default();
                PeerStatistics {
                    slot,
                    public_key,
                    last_handshake: None,
                    endpoint: None,
                    rx_bytes,
                    tx_bytes,
                }
            })
            .collect())
    }

    fn events(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl Firewall for FakeMachine {
    async fn observe(&self) -> PortResult<ObservedFirewall> {
        self.gate("firewall.observe").await?;
        Ok(self.state().firewall.clone())
    }

    async fn apply(&self, change: &FirewallChange) -> PortResult<()> {
        self.gate("firewall.apply").await?;
        let mut s = self.state();
        s.calls.push(("firewall.apply", None));
        let f = &mut s.firewall;
        if change.rebuild {
            *f = ObservedFirewall {
                complete: true,
                tenants: BTreeMap::new(),
            };
        }
        if !f.complete {
            return Err(PortError::new(
                ErrorCode::FirewallUnavailable,
                "there is no table",
            ));
        }
        for slot in change.remove.keys() {
            f.tenants.remove(slot);
        }
        f.tenants.extend(
            change
                .set
                .iter()
                .map(|(_, t)| (t.slot, ObservedFirewallTenant::of(t))),
        );
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl Containers for FakeMachine {
    async fn observe(&self) -> PortResult<ObservedContainers> {
        self.gate("containers.observe").await?;
        Ok(self.state().containers.clone())
    }

    async fn start(&self, spec: &ContainerSpec) -> PortResult<()> {
        self.gate("containers.start").await?;
        let mut s = self.state();
        if !s.containers.image {
            return Err(PortError::new(ErrorCode::ImageMissing, "no image"));
        }
        let name = spec.tenant.container();
        if s.containers.foreign.contains(&name) {
            return Err(PortError::new(
                ErrorCode::NameForeign,
                "somebody else's container",
            ));
        }
        s.calls.push(("containers.start", Some(spec.slot)));
        if let Some(c) = s.containers.ours.iter_mut().find(|c| c.name == name) {
            if !spec.is_fitting(&c.revision, false) {
                return Err(PortError::new(ErrorCode::Busy, "of another revision"));
            }
            c.state = ContainerState::Running;
        } else {
            s.next_id += 1;
            let id = format!("c{}", s.next_id);
            s.containers.ours.push(ObservedContainer {
                id,
                name,
                slot: Some(spec.slot),
                revision: spec.revision(),
                state: ContainerState::Running,
            });
        }
        write_conf(spec)?;
        s.dns.entry(spec.address.into()).or_default().running = true;
        Ok(())
    }

    async fn remove(&self, id: &str) -> PortResult<()> {
        self.gate("containers.remove").await?;
        let mut s = self.state();
        s.calls.push(("containers.remove", None));
        s.containers.ours.retain(|c| c.id != id && c.name != id);
        Ok(())
    }

    async fn fetch_image(&self) -> PortResult<()> {
        self.gate("containers.fetch_image").await?;
        Err(PortError::new(
            ErrorCode::ImageMissing,
            "no registry answers",
        ))
    }

    fn events(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl DnsFilter for FakeMachine {
    async fn prepare(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        self.gate("dns.prepare").await?;
        self.state().dns.insert(
            dns.address.into(),
            ObservedDns {
                running: false,
                clients: known(clients),
            },
        );
        Ok(())
    }

    async fn observe(&self, dns: &DnsInstance) -> PortResult<ObservedDns> {
        self.gate("dns.observe").await?;
        Ok(self
            .state()
            .dns
            .get(&dns.address.into())
            .cloned()
            .unwrap_or_default())
    }

    async fn set_clients(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        self.gate("dns.set_clients").await?;
        let mut s = self.state();
        s.calls.push(("dns.set_clients", Some(dns.slot)));
        s.dns.entry(dns.address.into()).or_default().clients = known(clients);
        Ok(())
    }

    async fn counts(&self, _dns: &DnsInstance) -> PortResult<QueryCounts> {
        self.gate("dns.counts").await?;
        Ok(QueryCounts::default())
    }
}

/// Where the tenant's folder is a real one, its container finds a
/// configuration there, as a real one does.
fn write_conf(spec: &ContainerSpec) -> PortResult<()> {
    let folder = spec.conf_dir.parent().and_then(Path::parent);
    if !folder.is_some_and(Path::is_dir) {
        return Ok(());
    }
    fs::create_dir_all(&spec.conf_dir)
        .and_then(|()| fs::write(spec.conf_dir.join("AdGuardHome.yaml"), "{}"))
        .map_err(|e| PortError::new(ErrorCode::DiskUnavailable, e.to_string()))
}

#[async_trait]
impl Folders for FakeMachine {
    async fn observe(&self) -> PortResult<BTreeMap<String, ObservedFolder>> {
        self.gate("folders.observe").await?;
        Ok(self.state().folders.clone())
    }

    async fn open(&self, name: &TenantName) -> PortResult<()> {
        self.gate("folders.open").await?;
        self.state().folders.entry(name.folder()).or_default();
        Ok(())
    }

    async fn write(&self, t: &TenantSpec) -> PortResult<()> {
        self.gate("folders.write").await?;
        let conf = format!("{}.conf", t.slot.interface());
        let hash = content_hash(t.wg_conf().expose().as_bytes());
        let mut s = self.state();
        s.folders.insert(
            t.name.folder(),
            ObservedFolder {
                wg_confs: [(conf, hash)].into(),
                owner: Some(t.private_key.public().to_string()),
                ..ObservedFolder::default()
            },
        );
        Ok(())
    }

    async fn remove(&self, folder: &str) -> PortResult<()> {
        self.gate("folders.remove").await?;
        if tenant_of_folder(folder).is_none() {
            let sentence = format!("{folder:?} is not a tenant's folder");
            return Err(PortError::new(ErrorCode::Internal, sentence));
        }
        self.state().folders.remove(folder);
        Ok(())
    }
}

fn known(clients: &BTreeMap<String, DnsClient>) -> BTreeMap<String, ObservedDnsClient> {
    clients
        .iter()
        .map(|(id, c)| {
            (
                id.clone(),
                ObservedDnsClient {
                    name: c.name.clone(),
                    addresses: [c.address].into(),
                    policy: Some(c.policy),
                },
            )
        })
        .collect()
}

/// A spec that tests set by hand.
#[derive(Clone, Debug, Default)]
pub struct FakeSpecs {
    spec: Arc<Mutex<NodeSpec>>,
    loads: Arc<AtomicU64>,
}

impl FakeSpecs {
    /// Changes the spec; its generation grows by one.
    pub fn change(&self, change: impl FnOnce(&mut NodeSpec)) -> u64 {
        let mut spec = self.spec.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut spec);
        spec.generation += 1;
        spec.generation
    }

    /// How often it was loaded.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl SpecSource for FakeSpecs {
    async fn load(&self) -> PortResult<NodeSpec> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        Ok(self
            .spec
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }
}

/// A clock that stands still until told.
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    /// A clock at this time.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.0)))
    }

    /// Moves it, backwards too.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}
