//! The port on which workers are answered: the control plane's end of their wire, between
//! the core, which sees workers as nodes, and the database, which the link asks.

use crate::{
    config::Config,
    shutdown::closed,
    start_error::StartError,
    workers::{self, ControlRegistry},
};
use async_trait::async_trait;
use control::Control;
use domain::{Clock, ErrorCode, Message, NodeId, Problem, SystemClock};
use link::{
    JoinedNodes,
    hub::{Hub, Registry},
};
use protocol::{
    Nodes, SpecAnswer, SpecFeed,
    wire::{CALLS, JoinAnswer, JoinRequest, REQUESTS, RenewAnswer, RenewRequest},
};
use std::sync::{Arc, OnceLock};
use store::Store;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// The port, which answers once [`start`](Self::start) was called.
pub(crate) struct NodePort {
    hub: Hub,
    registry: Arc<DeferredRegistry>,
    listener: TcpListener,
}

impl NodePort {
    /// Listens where the configuration says so; `None` if there are no workers.
    ///
    /// # Errors
    /// The address cannot be listened on, or the database is SQLite.
    pub(crate) async fn bind(config: &Config) -> Result<Option<Self>, StartError> {
        let Some(address) = config.nodes.listen else {
            return Ok(None);
        };
        if matches!(config.database_url, store::DatabaseUrl::Sqlite(_)) {
            return Err(StartError::from(&Message::WorkersNeedPostgres));
        }
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| StartError::Listen { address, source })?;
        let registry = Arc::<DeferredRegistry>::default();
        Ok(Some(Self {
            hub: Hub::new(registry.clone(), Arc::new(SystemClock)),
            registry,
            listener,
        }))
    }

    /// Returns the control plane's end of the link.
    pub(crate) fn hub(&self) -> Hub {
        self.hub.clone()
    }

    /// Returns the workers, and the local node if there is one.
    pub(crate) fn nodes(&self, local: Option<Arc<dyn Nodes>>) -> Arc<dyn Nodes> {
        match local {
            Some(local) => Arc::new(JoinedNodes::new(local, self.hub.nodes())),
            None => self.hub.nodes(),
        }
    }

    /// Begins to answer, until `closing`.
    ///
    /// # Errors
    /// The installation's authority cannot be made or read.
    pub(crate) async fn start(
        self,
        control: &Control,
        store: &Store,
        closing: watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), StartError> {
        let clock = Arc::new(SystemClock);
        let stored = control.nodes().authority().await?;
        let authority = workers::authority(&stored);
        let tls = authority.and_then(|a| a.server_config(clock.now(), &[REQUESTS, CALLS]));
        let tls = tls.map_err(|e| StartError::Port {
            message: texts::english().message(&e.message()),
            cause: Some(e.into()),
        })?;
        let registry = ControlRegistry::new(control.clone(), store.clone(), clock);
        // It is set once: this consumes the port.
        let _ = self.registry.0.set(registry);
        let (hub, listener) = (self.hub, self.listener);
        tasks.spawn(async move { hub.run(listener, tls, closed(closing)).await });
        Ok(())
    }
}

/// What the link asks, once there is a core: the core sees the link's nodes, so the link
/// is made first.
#[derive(Default)]
struct DeferredRegistry(OnceLock<ControlRegistry>);

impl DeferredRegistry {
    fn get(&self) -> Result<&ControlRegistry, Problem> {
        self.0.get().ok_or(Problem {
            code: ErrorCode::Busy,
            message: Message::ServerStarting,
        })
    }
}

#[async_trait]
impl Registry for DeferredRegistry {
    async fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Problem> {
        self.get()?.join(request).await
    }

    async fn renew(&self, node: NodeId, request: RenewRequest) -> Result<RenewAnswer, Problem> {
        self.get()?.renew(node, request).await
    }

    async fn admits(&self, node: NodeId, serial: &str) -> Result<bool, Problem> {
        self.get()?.admits(node, serial).await
    }

    fn feed(&self, node: NodeId) -> Arc<dyn SpecFeed> {
        match self.get() {
            Ok(registry) => registry.feed(node),
            Err(problem) => Arc::new(NoFeed(problem)),
        }
    }

    async fn generation(&self, node: NodeId) -> Result<u64, Problem> {
        self.get()?.generation(node).await
    }

    fn control_planes(&self) -> Vec<String> {
        self.get().map(Registry::control_planes).unwrap_or_default()
    }

    async fn heard(&self, node: NodeId, version: &str) {
        if let Ok(registry) = self.get() {
            registry.heard(node, version).await;
        }
    }
}

/// The feed of a node that is asked for before there is a core.
struct NoFeed(Problem);

#[async_trait]
impl SpecFeed for NoFeed {
    async fn load(&self, _in_force: u64) -> Result<SpecAnswer, Problem> {
        Err(self.0.clone())
    }
}
