//! The node on this machine, as `serve` and `worker run` have it: they differ in where
//! its spec comes from and in who sees it.

use crate::{
    accept, config::Config, doctor, shutdown::closed, start_error::StartError, storage, wiring,
};
use agent::{Agent, Backends};
use domain::NodeId;
use provisioning::PortResult;
use std::{fs::File, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use wireguard::Detection;

/// How long the node, and what else has to finish, may take on shutdown.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// This machine's node. While it exists, no other process has the root folder.
pub(crate) struct LocalNode {
    pub backends: Arc<Backends>,
    _lock: File,
}

impl LocalNode {
    /// Locks the root folder and builds the backends; changes nothing else yet.
    ///
    /// # Errors
    /// Another process has the root folder, or the configuration is impossible.
    pub(crate) fn open(config: &Config, node: NodeId) -> Result<Self, StartError> {
        accept::raise_file_limit();
        let lock = storage::lock_root(config)?;
        let backends = Backends::new(wiring::agent_settings(config, node))?;
        Ok(Self {
            backends: Arc::new(backends),
            _lock: lock,
        })
    }

    /// Finds out which WireGuard there is, and writes the first block list.
    pub(crate) async fn prepare(&self) -> PortResult<Detection> {
        let wireguard = self.backends.wireguard.detect().await;
        if let Err(e) = self.backends.lists.install_starter() {
            tracing::warn!(error = ?e, "the first block list cannot be written");
        }
        wireguard
    }

    /// Starts the node's process, which ends with `closing`, and the tasks beside it.
    pub(crate) fn start(
        &self,
        agent: Agent,
        closing: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> JoinHandle<()> {
        let lists = self.backends.lists.clone();
        tasks.spawn(async move { lists.run().await });
        tokio::spawn(agent.run(closed(closing.clone())))
    }
}

/// Waits until the node has stopped, not for ever.
pub(crate) async fn stop(node: JoinHandle<()>) {
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, node).await.is_err() {
        tracing::warn!("the node did not stop in time");
    }
}

/// Sets the kernel's switches, which last until the next boot, and warns of
/// what does not fit this machine.
pub(crate) fn prepare_machine(config: &Config) {
    if let Err(e) = hostfs::create_private_dir(&config.runtime_dir) {
        tracing::warn!(error = ?e, "the runtime folder cannot be created");
    }
    if let Err(e) = firewall::enable_forwarding() {
        tracing::warn!(error = ?e, "IPv4 forwarding is off, so tunnels do not reach the internet");
    }
    if let Err(e) = wireguard::reserve_ports() {
        tracing::warn!(error = %e, "the tunnels' UDP ports cannot be reserved");
    }
    for refused in wiring::kernel_limits(config).apply() {
        let (path, wanted) = (refused.path.display(), refused.wanted);
        tracing::warn!(error = %refused.cause, %path, wanted, "a limit of the kernel's table of connections cannot be set");
    }
    for clash in doctor::network_clashes(&config.addresses.plan) {
        tracing::warn!("{}", texts::english().message(&clash));
    }
}
