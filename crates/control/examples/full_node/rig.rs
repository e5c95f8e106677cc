//! Node and core over the machine's real sides, wired as `server/src/machine.rs`
//! wires them; containers and DNS filters are the test kit's.

use crate::measure::{Figures, Outcome, pss};
use async_trait::async_trait;
use control::{CapacitySettings, Control, ControlParts, ControlSettings, Entropy, StoreSpecs};
use domain::{AddressPlan, Slot, TenantScope, Timestamp};
use firewall::{FirewallSettings, Nft};
use provisioning::{
    Node, NodeHandle, NodePorts, NodeSettings, NodeSpec, SpecSource, SystemClock, WireGuard,
    disk::{Disk, private_dir},
    ports::PortResult,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use store::{DatabaseUrl, LOCAL_NODE, Sealer, Store};
use testkit::fakes::FakeMachine;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use wireguard::Userspace;

/// How long all of it may take to be in force.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the child listens.
pub fn socket(root: &Path) -> PathBuf {
    root.join("run/wg-userspace.sock")
}

/// Who holds a slot, and the permission to act for them.
#[derive(Clone, Debug)]
pub struct Held {
    /// The slot.
    pub slot: Slot,
    /// The permission.
    pub scope: TenantScope,
}

/// All of it. The node works between [`Rig::run`] and [`Rig::stop`].
pub struct Rig {
    /// The database.
    pub store: Store,
    /// The core.
    pub control: Control,
    /// The node, from outside.
    pub node: NodeHandle,
    /// The tunnels.
    pub wireguard: Userspace,
    /// nftables.
    pub firewall: Arc<Nft>,
    /// The machine, as the node sees it.
    pub ports: NodePorts,
    /// What the node was made with.
    pub settings: NodeSettings,
    loads: watch::Receiver<u64>,
    waiting: Option<Node>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// A source that tells how often it was asked: the node's ticks, as long as
/// nothing changes.
struct Counted {
    specs: StoreSpecs,
    loads: watch::Sender<u64>,
}

#[async_trait]
impl SpecSource for Counted {
    async fn load(&self) -> PortResult<NodeSpec> {
        self.loads.send_modify(|n| *n += 1);
        self.specs.load().await
    }
}

fn core(store: &Store, ports: &NodePorts, settings: &NodeSettings) -> (Node, NodeHandle, Control) {
    let (node, handle) = Node::new(ports.clone(), settings.clone());
    let control = Control::new(ControlParts {
        store: store.clone(),
        node: handle.clone(),
        clock: Arc::new(SystemClock),
        entropy: Entropy::system(),
        settings: ControlSettings {
            addresses: settings.addresses,
            public_host: "vpn.example".to_owned(),
            node: LOCAL_NODE,
            excluded_slots: BTreeSet::new(),
            sign_ups_per_hour: 0,
        },
        capacity: CapacitySettings::default(),
    });
    (node, handle, control)
}

impl Rig {
    /// Opens database and machine below a folder. The child is this very
    /// program.
    pub async fn open(root: &Path) -> Outcome<Self> {
        private_dir(root)?;
        let url = DatabaseUrl::parse(&format!("sqlite://{}", root.join("scale.db").display()))?;
        let store = Store::open(&url, Sealer::from_key_file(&root.join("seal.key"))?).await?;
        let wireguard = Userspace::connect_or_spawn(
            std::env::current_exe()?,
            socket(root),
            root.join("run/wg-userspace.log"),
        )
        .await?;
        let firewall = Arc::new(Nft::new(FirewallSettings::default())?);
        let simulated = Arc::new(FakeMachine::new());
        let settings = NodeSettings {
            addresses: AddressPlan::default(),
            root: root.to_owned(),
            dns_memory_bytes: 256 << 20,
            image: "adguard/adguardhome:simulated".to_owned(),
            fallback_dns: [9, 9, 9, 9].into(),
        };
        let (loads, told) = watch::channel(0);
        let ports = NodePorts {
            wireguard: Arc::new(wireguard.clone()),
            firewall: firewall.clone(),
            containers: simulated.clone(),
            dns: simulated,
            folders: Arc::new(Disk::new(settings.clone())),
            specs: Arc::new(Counted {
                specs: StoreSpecs::new(store.clone(), LOCAL_NODE),
                loads,
            }),
        };
        let (node, handle, control) = core(&store, &ports, &settings);
        Ok(Self {
            store,
            control,
            node: handle,
            wireguard,
            firewall,
            ports,
            settings,
            loads: told,
            waiting: Some(node),
            running: None,
        })
    }

    /// Lets the node work.
    pub fn run(&mut self) {
        if let Some(node) = self.waiting.take() {
            let (stop, stopped) = oneshot::channel();
            let work = tokio::spawn(node.run(async {
                let _ = stopped.await;
            }));
            self.running = Some((stop, work));
        }
    }

    /// Ends the node; the next one, which knows nothing yet, is ready to run.
    pub async fn stop(&mut self) -> Outcome<()> {
        if let Some((stop, work)) = self.running.take() {
            let _ = stop.send(());
            work.await?;
        }
        let (node, handle, control) = core(&self.store, &self.ports, &self.settings);
        (self.waiting, self.node, self.control) = (Some(node), handle, control);
        Ok(())
    }

    /// Returns when the node ticks next.
    pub async fn tick(&self) -> Outcome<()> {
        let mut loads = self.loads.clone();
        loads.mark_unchanged();
        Ok(timeout(PATIENCE, loads.changed()).await??)
    }

    /// Everybody, by slot.
    pub async fn everybody(&self) -> Outcome<Vec<Held>> {
        let all = self.store.tenants(Timestamp(0)).await?;
        let held = all.into_iter().map(|l| Held {
            slot: l.tenant.slot,
            scope: TenantScope::issue(l.tenant.id, l.tenant.name, "scale"),
        });
        Ok(held.collect())
    }

    /// Waits until everybody's tunnel and elements are in force.
    pub async fn in_force(&self) -> Outcome<()> {
        let generation = self.store.generation(LOCAL_NODE).await?;
        for held in self.everybody().await? {
            let mut state = self.node.watch(held.slot);
            let there = state.wait_for(|s| s.as_ref().is_some_and(|s| s.applied >= generation));
            timeout(PATIENCE, there).await??;
        }
        Ok(())
    }

    /// Waits until everybody's parts are all there.
    pub async fn ready(&self) -> Outcome<()> {
        for held in self.everybody().await? {
            let mut state = self.node.watch(held.slot);
            let there = state.wait_for(|s| s.as_ref().is_some_and(|s| s.status.is_ready()));
            timeout(PATIENCE, there).await??;
        }
        Ok(())
    }

    /// Checks what really stands: so many tunnels with so many peers each, up,
    /// and everybody's elements.
    pub async fn stands(&self, tenants: u16, devices: u8) -> Outcome<()> {
        let interfaces = self.wireguard.observe().await?;
        let whole = interfaces.values().filter(|i| i.up);
        let whole = whole.filter(|i| i.peers.len() == usize::from(devices));
        let (whole, all) = (whole.count(), usize::from(tenants));
        if whole != all || interfaces.len() != all {
            let there = interfaces.len();
            return Err(format!("of {all} tunnels {there} are there, {whole} are whole").into());
        }
        let elements = provisioning::Firewall::observe(&*self.firewall).await?;
        if !elements.complete || elements.tenants.len() != all {
            let there = elements.tenants.len();
            return Err(format!("of {all} tenants {there} are in the firewall").into());
        }
        Ok(())
    }

    /// Memory of server side and tunnels, once what is under way has ended.
    pub async fn memory(&self, when: &str, figures: &mut Figures) -> Outcome<()> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let child = self.wireguard.pid().await?.to_string();
        figures.number(&format!("memory of server {when}"), pss("self")?);
        figures.number(&format!("memory of tunnels {when}"), pss(&child)?);
        Ok(())
    }
}
