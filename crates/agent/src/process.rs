//! The node's process: the engine, and the tasks beside it.

use crate::{
    capacity::CapacityMeter,
    feed_source::FeedSource,
    link::{copies::FolderCopies, local::LocalNodes},
    resources::{DiskLimits, ResourceMeter, Resources},
};
use domain::{NodeId, ResourceLimits};
use folders::DiskFolders;
use provisioning::{Node, NodePorts, NodeSettings, capacity::Memory};
use std::{future::Future, sync::Arc};
use tokio::task::JoinSet;

/// A node's process. It works while [`Agent::run`] runs.
pub struct Agent {
    engine: Node,
    capacity: Arc<CapacityMeter>,
    resources: Arc<ResourceMeter>,
    nodes: LocalNodes,
    /// What a tenant's container may use.
    container_limits: ResourceLimits,
    /// Where the specs come from, if it is a control plane.
    source: Option<Arc<FeedSource>>,
    /// Whether it answers DNS by IPv6.
    relays_dns: bool,
}

impl Agent {
    /// Builds the process of a node whose specs come from `ports.specs` alone.
    pub fn new(node: NodeId, ports: NodePorts, settings: NodeSettings) -> Self {
        let container_limits = ResourceLimits {
            memory_bytes: Some(settings.dns_memory_bytes),
            cpu_percent: Some(f64::from(settings.dns_cpu_thousandths) / 10.0),
            ..ResourceLimits::default()
        };
        let (engine, handle) = Node::new(ports, settings);
        let capacity = Arc::new(CapacityMeter::new(None, None, handle.clone()));
        let (disk, limits) = (DiskLimits::default(), ResourceLimits::default());
        let resources = ResourceMeter::new(None, disk, limits, handle.clone());
        let resources = Arc::new(resources);
        Self {
            engine,
            nodes: LocalNodes::new(node, handle, capacity.clone(), resources.clone()),
            capacity,
            resources,
            container_limits,
            source: None,
            relays_dns: false,
        }
    }

    /// Builds the process of a node that follows a control plane: what the source
    /// reports is reported with the rest. `ports.specs` leads to it.
    pub fn following(
        node: NodeId,
        ports: NodePorts,
        settings: NodeSettings,
        source: &Arc<FeedSource>,
    ) -> Self {
        let mut agent = Self::new(node, ports, settings);
        agent.nodes.add_events(source.events());
        agent.source = Some(source.clone());
        agent
    }

    /// Makes the process measure how many tenants the memory suffices for.
    /// `reserve` is in bytes.
    #[must_use]
    pub fn measuring(mut self, memory: Arc<dyn Memory>, reserve: Option<u64>) -> Self {
        let handle = self.nodes.engine().clone();
        self.capacity = Arc::new(CapacityMeter::new(Some(memory), reserve, handle));
        self.nodes.set_capacity(self.capacity.clone());
        self
    }

    /// Makes the process measure what tenants use, and keep what they use of the disk
    /// within these limits. A tenant may have so many `connections`.
    #[must_use]
    pub fn watching(
        mut self,
        resources: Arc<dyn Resources>,
        disk: DiskLimits,
        connections: u32,
    ) -> Self {
        let handle = self.nodes.engine().clone();
        let limits = ResourceLimits {
            disk_bytes: Some(disk.hard_bytes),
            connections: Some(connections.into()),
            ..self.container_limits
        };
        let meter = ResourceMeter::new(Some(resources), disk, limits, handle);
        self.resources = Arc::new(meter);
        self.nodes.set_resources(self.resources.clone());
        self
    }

    /// Makes the process report that it may have so many tenants at most.
    #[must_use]
    pub fn limited(mut self, max_tenants: Option<u32>) -> Self {
        self.nodes.set_max_tenants(max_tenants);
        self
    }

    /// Makes the process answer DNS at the tunnels' gateways by IPv6.
    #[must_use]
    pub fn relaying_dns(mut self) -> Self {
        self.relays_dns = self.nodes.engine().settings().ipv6;
        self
    }

    /// Lets what AdGuard Homes have stored be copied to other nodes and from them, at most as
    /// much of a tenant as these limits permit.
    #[must_use]
    pub fn copying(mut self, node: NodeId, folders: DiskFolders, disk: DiskLimits) -> Self {
        let handle = self.nodes.engine().clone();
        let (max_bytes, free) = (disk.hard_bytes, disk.min_free_percent);
        let copies = FolderCopies::new(node, folders, handle, max_bytes, free);
        self.nodes.set_copies(copies);
        self
    }

    /// Returns the port through which a control plane in this process sees it.
    pub fn nodes(&self) -> LocalNodes {
        self.nodes.clone()
    }

    /// Runs until `shutdown` completes. What is in force stays in force, and is in the
    /// checkpoint.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        // Ended when it is dropped.
        let mut tasks = JoinSet::new();
        let (capacity, resources) = (self.capacity, self.resources);
        tasks.spawn(async move { capacity.run().await });
        tasks.spawn(async move { resources.run().await });
        if self.relays_dns {
            let handle = self.nodes.engine().clone();
            tasks.spawn(dnsrelay::run(move |address| handle.device_of_ipv6(address)));
        }
        self.engine.run(shutdown).await;
        if let Some(source) = self.source {
            source.flush().await;
        }
    }
}
