//! Node and core over the real machine, wired as `server` and `agent` wire
//! them; containers and DNS filters are the test kit's.

use crate::{
    measure::{Figures, Outcome, pss},
    settings::control_settings,
};
use agent::{Agent, FeedSource};
use async_trait::async_trait;
use control::{Control, ControlParts, Entropy, StoreSpecs};
use domain::{AddressPlan, Slot, SystemClock, TenantScope, Timestamp};
use firewall::{FirewallSettings, Nft};
use folders::DiskFolders;
use hostfs::create_private_dir;
use protocol::NodeSpec;
use provisioning::{NodeHandle, NodePorts, NodeSettings, SpecSource, WireGuard, ports::PortResult};
use seal::Sealer;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use store::{DatabaseUrl, LOCAL_NODE, Store};
use testkit::fakes::FakeMachine;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use wireguard::Userspace;

/// How long it may take until everything is in force.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Returns the socket on which the child listens.
pub fn socket(root: &Path) -> PathBuf {
    root.join("run/wg-userspace.sock")
}

/// A slot, and the permission of the tenant that holds it.
#[derive(Clone, Debug)]
pub struct HeldSlot {
    pub slot: Slot,
    pub scope: TenantScope,
}

/// Everything. The node works between [`Rig::run`] and [`Rig::stop`].
pub struct Rig {
    pub store: Store,
    pub control: Control,
    pub node: NodeHandle,
    pub wireguard: Userspace,
    pub firewall: Arc<Nft>,
    /// The machine as the node sees it.
    pub ports: NodePorts,
    /// The settings of the node.
    pub settings: NodeSettings,
    loads: watch::Receiver<u64>,
    stopped: Option<Agent>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// A source that counts its loads: they are the node's ticks, as long as
/// nothing changes.
struct CountedSource {
    specs: FeedSource,
    loads: watch::Sender<u64>,
}

#[async_trait]
impl SpecSource for CountedSource {
    async fn load(&self, in_force: u64) -> PortResult<NodeSpec> {
        self.loads.send_modify(|n| *n += 1);
        self.specs.load(in_force).await
    }
}

fn core(store: &Store, ports: &NodePorts, settings: &NodeSettings) -> (Agent, NodeHandle, Control) {
    let agent = Agent::new(LOCAL_NODE, ports.clone(), settings.clone());
    let nodes = agent.nodes();
    let handle = nodes.engine().clone();
    let control = Control::new(ControlParts {
        names: None,
        store: store.clone(),
        nodes: Arc::new(nodes),
        clock: Arc::new(SystemClock),
        entropy: Entropy::system(),
        settings: control_settings(BTreeSet::new()),
        workers: control::WorkerAccess::NeedsPostgres,
    });
    (agent, handle, control)
}

impl Rig {
    /// Opens the database and the machine below a folder. The child is this
    /// very program.
    pub async fn open(root: &Path) -> Outcome<Self> {
        create_private_dir(root)?;
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
            ipv6: true,
            root: root.to_owned(),
            dns_memory_bytes: 256 << 20,
            dns_cpu_thousandths: 500,
            tunnel_packets: provisioning::spec::PacketRate::at_least(100_000),
            image: "adguard/adguardhome:simulated".to_owned(),
            fallback_dns: [9, 9, 9, 9].into(),
            key_files: true,
        };
        let (loads, ticks) = watch::channel(0);
        let ports = NodePorts {
            wireguard: Arc::new(wireguard.clone()),
            firewall: firewall.clone(),
            shaping: simulated.clone(),
            connections: simulated.clone(),
            containers: simulated.clone(),
            dns: simulated,
            folders: Arc::new(DiskFolders::new(settings.clone())),
            specs: Arc::new(CountedSource {
                specs: FeedSource::new(
                    Arc::new(StoreSpecs::new(
                        store.clone(),
                        LOCAL_NODE,
                        Arc::new(SystemClock),
                    )),
                    None,
                ),
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
            loads: ticks,
            stopped: Some(node),
            running: None,
        })
    }

    /// Starts the node.
    pub fn run(&mut self) {
        if let Some(node) = self.stopped.take() {
            let (stop, stop_signal) = oneshot::channel();
            let work = tokio::spawn(node.run(async {
                let _ = stop_signal.await;
            }));
            self.running = Some((stop, work));
        }
    }

    /// Stops the node. The next one, which knows nothing yet, is ready to run.
    pub async fn stop(&mut self) -> Outcome<()> {
        if let Some((stop, work)) = self.running.take() {
            let _ = stop.send(());
            work.await?;
        }
        let (node, handle, control) = core(&self.store, &self.ports, &self.settings);
        (self.stopped, self.node, self.control) = (Some(node), handle, control);
        Ok(())
    }

    /// Waits for the node's next tick.
    pub async fn tick(&self) -> Outcome<()> {
        let mut loads = self.loads.clone();
        loads.mark_unchanged();
        Ok(timeout(TIMEOUT, loads.changed()).await??)
    }

    /// Returns all tenants by slot.
    pub async fn tenants(&self) -> Outcome<Vec<HeldSlot>> {
        let all = self.store.tenants(Timestamp(0), Timestamp(0)).await?;
        let held = all.into_iter().map(|l| HeldSlot {
            slot: l.tenant.slot,
            scope: TenantScope::issue(l.tenant.id, l.tenant.name, "scale"),
        });
        Ok(held.collect())
    }

    /// Waits until every tenant's tunnel and elements are in force.
    pub async fn in_force(&self) -> Outcome<()> {
        let generation = self.store.generation(LOCAL_NODE).await?;
        for held in self.tenants().await? {
            let mut state = self.node.watch(held.slot);
            let reached = state.wait_for(|s| s.as_ref().is_some_and(|s| s.applied >= generation));
            timeout(TIMEOUT, reached).await??;
        }
        Ok(())
    }

    /// Waits until every tenant's parts are ready.
    pub async fn ready(&self) -> Outcome<()> {
        for held in self.tenants().await? {
            let mut state = self.node.watch(held.slot);
            let reached = state.wait_for(|s| s.as_ref().is_some_and(|s| s.status.is_ready()));
            timeout(TIMEOUT, reached).await??;
        }
        Ok(())
    }

    /// Checks the machine itself: the number of tunnels that are up, with that
    /// many peers each, and every tenant's elements.
    pub async fn check(&self, tenants: u16, devices: u8) -> Outcome<()> {
        let interfaces = self.wireguard.observe().await?;
        let complete = interfaces.values().filter(|i| i.up);
        let complete = complete.filter(|i| i.peers.len() == usize::from(devices));
        let (complete, all) = (complete.count(), usize::from(tenants));
        if complete != all || interfaces.len() != all {
            let present = interfaces.len();
            return Err(
                format!("of {all} tunnels {present} exist, {complete} are complete").into(),
            );
        }
        let elements = provisioning::Firewall::observe(&*self.firewall).await?;
        if !elements.complete || elements.tenants.len() != all {
            let present = elements.tenants.len();
            return Err(format!("of {all} tenants {present} are in the firewall").into());
        }
        Ok(())
    }

    /// Measures the memory of server and tunnels, once no work is under way.
    pub async fn memory(&self, when: &str, figures: &mut Figures) -> Outcome<()> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let child = self.wireguard.pid().await?.to_string();
        figures.number(&format!("memory of server {when}"), pss("self")?);
        figures.number(&format!("memory of tunnels {when}"), pss(&child)?);
        Ok(())
    }
}
