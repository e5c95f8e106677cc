//! The machine's real sides, put together by the configuration. Nothing here
//! fails for a machine that is not ready: each part tells its problem when it
//! is used, and is tried again.

use crate::{config::Config, memory::MachineMemory};
use adguard::{AdGuard, AdGuardSettings, Lists};
use async_trait::async_trait;
use containers::{ContainerSettings, Docker};
use control::{
    CapacitySettings, Control, ControlParts, ControlSettings, Entropy, KeepingSpecs, KeptSpec,
    StoreSpecs,
};
use domain::{ErrorCode, Slot};
use firewall::{FirewallSettings, Nft};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use provisioning::{
    Node, NodeHandle, NodePorts, NodeSettings, SpecSource, SystemClock, WireGuard,
    disk::Disk,
    observed::{ObservedInterface, PeerStatistics},
    ports::{PeerChange, PortError, PortResult},
    spec::InterfaceSpec,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use store::{LOCAL_NODE, Store};
use tokio::{sync::Mutex, time::Instant};
use wireguard::Detection;

/// The parts.
pub struct Machine {
    /// WireGuard, once there is one.
    pub wireguard: Arc<LateWireGuard>,
    /// nftables.
    pub firewall: Arc<Nft>,
    /// Docker.
    pub containers: Arc<Docker>,
    /// AdGuard Home.
    pub dns: Arc<AdGuard>,
    /// The block lists.
    pub lists: Arc<Lists>,
}

impl Machine {
    /// The parts by the configuration. Touches nothing yet.
    ///
    /// # Errors
    /// A configuration that cannot be, or no TLS.
    pub fn new(config: &Config) -> PortResult<Self> {
        let firewall = Nft::new(FirewallSettings {
            addresses: config.addresses,
            allowed_private: config.allowed_private.clone(),
            ..FirewallSettings::default()
        })
        .map_err(|f| PortError::new(f.code, f.sentence))?;
        let lists = Arc::new(Lists::new(
            config.root.join("lists"),
            config.dns.lists.clone(),
        )?);
        let dns = AdGuardSettings {
            upstreams: config.dns.upstreams.clone(),
            bootstrap: config.dns.bootstrap.clone(),
            fallback: config.dns.fallback.clone(),
            also_allowed: vec![config.addresses.bridge()],
            ..AdGuardSettings::default()
        };
        Ok(Self {
            wireguard: Arc::new(LateWireGuard::new(config)),
            firewall: Arc::new(firewall),
            containers: Arc::new(Docker::new(container_settings(config))),
            dns: Arc::new(AdGuard::new(dns, lists.clone())?),
            lists,
        })
    }

    /// Where this machine's memory is read.
    pub fn memory(&self, config: &Config) -> MachineMemory {
        MachineMemory::new(self.containers.clone(), userspace_socket(config))
    }

    /// The node over these parts and the core over the node. Neither works
    /// until [`Node::run`] and [`Control::run`] are called. What the database
    /// gives is kept in `kept`, where there is one.
    pub fn core(&self, config: &Config, store: Store, kept: Option<KeptSpec>) -> (Node, Control) {
        let specs = StoreSpecs::new(store.clone(), LOCAL_NODE);
        let (node, handle) = match kept {
            Some(kept) => self.node(config, Arc::new(KeepingSpecs::new(specs, kept))),
            None => self.node(config, Arc::new(specs)),
        };
        let control = Control::new(ControlParts {
            store,
            node: handle,
            clock: Arc::new(SystemClock),
            entropy: Entropy::system(),
            settings: ControlSettings {
                addresses: config.addresses,
                public_host: config.public_host.clone(),
                node: LOCAL_NODE,
                excluded_slots: config.excluded_slots.clone(),
                sign_ups_per_hour: config.sign_ups_per_hour,
            },
            capacity: CapacitySettings {
                memory: Some(Arc::new(self.memory(config))),
                reserve: config.memory_reserve(),
                most: config.max_tenants.map(u32::from),
            },
        });
        (node, control)
    }

    /// A node over these parts with a spec from wherever.
    pub fn node(&self, config: &Config, specs: Arc<dyn SpecSource>) -> (Node, NodeHandle) {
        let settings = node_settings(config);
        let ports = NodePorts {
            wireguard: self.wireguard.clone(),
            firewall: self.firewall.clone(),
            containers: self.containers.clone(),
            dns: self.dns.clone(),
            folders: Arc::new(Disk::new(settings.clone())),
            specs,
        };
        Node::new(ports, settings)
    }
}

fn userspace_socket(config: &Config) -> PathBuf {
    config.runtime_dir.join("wg-userspace.sock")
}

/// The containers' settings.
pub fn container_settings(config: &Config) -> ContainerSettings {
    let mut settings = ContainerSettings::new(&config.dns.image, config.addresses);
    settings.host.clone_from(&config.docker_host);
    settings
}

fn node_settings(config: &Config) -> NodeSettings {
    NodeSettings {
        addresses: config.addresses,
        root: config.root.clone(),
        dns_memory_bytes: config.dns.memory_mb << 20,
        image: config.dns.image.clone(),
        fallback_dns: config.dns.plain_fallback(),
    }
}

/// A WireGuard that may have to be waited for: a kernel module that is not
/// loaded yet, a child that does not start. Found at the first use; what was
/// not found is looked for again after a while.
#[derive(Clone)]
pub struct LateWireGuard {
    settings: wireguard::Settings,
    found: Arc<Mutex<Found>>,
}

#[derive(Default)]
struct Found {
    wireguard: Option<Arc<dyn WireGuard>>,
    /// When the last search failed, and how.
    failed: Option<(Instant, ErrorCode, String)>,
}

/// Between two searches.
const AGAIN: Duration = Duration::from_secs(5);

impl LateWireGuard {
    fn new(config: &Config) -> Self {
        Self {
            settings: wireguard::Settings {
                choice: config.wireguard,
                exe: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")),
                socket: userspace_socket(config),
                log: config.runtime_dir.join("wg-userspace.log"),
            },
            found: Arc::default(),
        }
    }

    /// Looks for it now, and says which it is and why.
    ///
    /// # Errors
    /// `WireguardUnavailable` with what to do.
    pub async fn find(&self) -> PortResult<Detection> {
        self.search(&mut *self.found.lock().await).await
    }

    async fn search(&self, found: &mut Found) -> PortResult<Detection> {
        match wireguard::detect(&self.settings).await {
            Ok(detected) => {
                let Detection { chosen, why } = &detected.detection;
                tracing::info!(%chosen, why, "WireGuard found");
                found.wireguard = Some(detected.wireguard);
                Ok(detected.detection)
            }
            Err(e) => {
                found.failed = Some((Instant::now(), e.code, e.sentence.clone()));
                Err(e)
            }
        }
    }

    async fn get(&self) -> PortResult<Arc<dyn WireGuard>> {
        let mut found = self.found.lock().await;
        if let Some(wireguard) = &found.wireguard {
            return Ok(wireguard.clone());
        }
        if let Some((at, code, sentence)) = &found.failed
            && at.elapsed() < AGAIN
        {
            return Err(PortError::new(*code, sentence.clone()));
        }
        self.search(&mut found).await?;
        found.wireguard.clone().ok_or_else(|| {
            PortError::new(
                ErrorCode::WireguardUnavailable,
                "There is no WireGuard yet.",
            )
        })
    }
}

#[async_trait]
impl WireGuard for LateWireGuard {
    fn describe(&self) -> String {
        let found = self.found.try_lock().ok().and_then(|f| f.wireguard.clone());
        found.map_or_else(|| "no WireGuard yet".to_owned(), |w| w.describe())
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        self.get().await?.observe().await
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        self.get().await?.ensure(spec).await
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        self.get().await?.change_peers(slot, change).await
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        self.get().await?.delete(slot).await
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        self.get().await?.statistics().await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        let again = self.clone();
        let found = async move {
            loop {
                if let Ok(wireguard) = again.get().await {
                    return wireguard;
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        // Found is an event too: what was not known is.
        stream::once(found)
            .flat_map(|w| stream::once(async {}).chain(w.events()))
            .boxed()
    }
}
