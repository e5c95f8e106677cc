//! `maliknode serve`: starts the server from the configuration, and stops it.
//!
//! An error of the server's own (a taken port, a key file it cannot read) ends
//! the start with a message. A machine that is not ready (Docker is down, `nft`
//! is missing) does not: the node retries until it is.

use crate::{
    accept,
    config::Config,
    console, control_socket, degraded, doctor,
    local_node::{LocalNode, SHUTDOWN_TIMEOUT, prepare_machine, stop},
    mail,
    metrics::{self, Metrics},
    node_port::NodePort,
    presence,
    readiness::{Dependencies, Readiness},
    shutdown::{ShutdownSignals, closed},
    start_error::StartError,
    storage,
    web::{WebParts, hosts::Site, web},
    wiring,
};
use agent::Agent;
use control::Entropy;
use protocol::Nodes;
use provisioning::{NodeHandle, PortResult};
use std::{io, sync::Arc, time::Duration};
use store::{LOCAL_NODE, Sessions, Store};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use wireguard::Detection;

/// How often expired sessions are removed.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// Serves until SIGTERM or SIGINT. Tunnels, containers and rules stay.
///
/// # Errors
/// The reason why it did not start.
pub async fn serve(config: Config) -> Result<(), StartError> {
    let mut signals = ShutdownSignals::new().map_err(StartError::Web)?;
    // The most frequent failure comes first, before anything is created.
    let address = config.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;
    storage::refuse_worker(&config)?;
    let port = NodePort::bind(&config).await?;
    let metrics_port = metrics::Listener::bind(config.metrics.listen).await?;
    let local = match config.no_node {
        true => None,
        false => Some(LocalNode::open(&config, LOCAL_NODE)?),
    };
    let opened = open_or_wait(&config, local.as_ref(), &listener, &mut signals).await?;
    let Some(store) = opened else {
        return Ok(());
    };
    ensure_ipv6_prefix(&config, &store).await?;
    let name = presence::name(&config)?;
    presence::enter(&config, &store, &name).await?;
    for problem in config
        .proxy_problem()
        .into_iter()
        .chain(config.scheme_problem())
    {
        tracing::warn!("{}", texts::english().message(&problem));
    }
    let local = match local {
        Some(local) => Some(PreparedNode::new(&config, local, &store).await?),
        None => None,
    };
    let nodes = nodes(local.as_ref(), port.as_ref())?;
    let mail = mail::setup(&config)?;
    let control = wiring::control(&config, store.clone(), nodes.clone(), name, mail);
    control.set_machine_checks(Arc::new(doctor::OwnChecks(config.clone())));
    let sources = metrics::MetricSources {
        control: Some(control.clone()),
        engine: local.as_ref().map(PreparedNode::engine),
        hub: port.as_ref().map(NodePort::hub),
        link: None,
    };
    let readiness = Readiness::new(Dependencies {
        store: Some(store.clone()),
        node: local.as_ref().map(|_| (LOCAL_NODE, nodes)),
        link: None,
    });
    let metrics = Metrics::new(sources, readiness);
    let first_operator = control.operators().first_link().await?;

    let (close, closing) = watch::channel(false);
    let mut tasks = JoinSet::new();
    if let Some(port) = port {
        port.start(&control, &store, closing.clone(), &mut tasks)
            .await?;
    }
    let core = control.clone();
    tasks.spawn(async move { core.run().await });
    tasks.spawn(prune_sessions(Sessions::new(store.clone())));
    if let Some(port) = metrics_port {
        tasks.spawn(port.run(metrics.clone(), closed(closing.clone())));
    }

    let web = web(WebParts {
        control: control.clone(),
        store: store.clone(),
        metrics,
        site: Site {
            base: config.base.clone(),
            scheme: config.scheme,
            trusted_proxies: config.trusted_proxies.clone(),
            forwarded_host: config.forwarded_host,
            cors_origins: config.api.cors_origins.clone(),
            operator_from: config.operator_from.clone(),
            privacy_notice: config.privacy_notice.clone(),
        },
        files: config.site.clone(),
        closing: closing.clone(),
    });
    if !config.site.join("pkg").is_dir() {
        tracing::warn!(folder = %config.site.display(), "the pages' scripts and styles are missing: build with ./dev build, or set --site");
    }
    let server = accept::run(
        listener,
        web.router,
        wiring::accept_limits(&config),
        closed(closing.clone()),
    );
    let mut server = tokio::spawn(server);
    let socket = control_socket::run(config.clone(), web.api, closing.clone());
    let mut socket = tokio::spawn(socket);

    console::print_addresses(&config, &store, first_operator.as_ref());
    let node = match local {
        Some(local) => Some(local.start(config, &closing, &mut tasks)),
        None => {
            console::print_line("  Node       none: workers hold the tenants");
            None
        }
    };

    tokio::select! {
        ended = &mut server => {
            let cause = ended.err().map(io::Error::other);
            return Err(StartError::Web(cause.unwrap_or_else(|| io::Error::other("no reason given"))));
        }
        () = signals.recv() => {}
    }
    let _ = close.send(true);
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut server)
        .await
        .is_err()
    {
        tracing::warn!("some requests did not finish in time and were cut off");
        server.abort();
    }
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut socket)
        .await
        .is_err()
    {
        tracing::warn!("some commands did not finish in time and were cut off");
        socket.abort();
    }
    tasks.abort_all();
    if let Some(node) = node {
        stop(node.process).await;
    }
    control.nodes().leave().await;
    store.close().await;
    console::print_line("MalikNode has stopped. Tunnels and DNS filters stay up.");
    Ok(())
}

/// The node of this machine, ready to be started.
struct PreparedNode {
    local: LocalNode,
    agent: Agent,
    wireguard: PortResult<Detection>,
}

impl PreparedNode {
    /// # Errors
    /// The key file for the checkpoint cannot be used.
    async fn new(config: &Config, local: LocalNode, store: &Store) -> Result<Self, StartError> {
        prepare_machine(config);
        let wireguard = local.prepare().await;
        let checkpoint = storage::spec_checkpoint(config, LOCAL_NODE)?;
        Ok(Self {
            agent: wiring::agent(&local.backends, store, Some(checkpoint)),
            local,
            wireguard,
        })
    }

    /// Returns the engine's handle.
    fn engine(&self) -> NodeHandle {
        self.agent.nodes().engine().clone()
    }

    /// Starts it, and prints what of the machine is ready.
    fn start(
        self,
        config: Config,
        closing: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> RunningNode {
        let process = self.local.start(self.agent, closing, tasks);
        console::print_wireguard(&self.wireguard);
        let docker = self.local.backends.clone();
        tasks.spawn(async move { console::print_docker(&config, &docker).await });
        RunningNode {
            process,
            _local: self.local,
        }
    }
}

/// The node of this machine, whose root folder is locked for as long as this exists.
struct RunningNode {
    process: JoinHandle<()>,
    _local: LocalNode,
}

/// Returns the nodes that this control plane hears from: its own and the workers.
///
/// # Errors
/// There are neither. The configuration has refused that before.
fn nodes(
    local: Option<&PreparedNode>,
    port: Option<&NodePort>,
) -> Result<Arc<dyn Nodes>, StartError> {
    let local = local.map(|local| Arc::new(local.agent.nodes()) as Arc<dyn Nodes>);
    match (port, local) {
        (Some(port), local) => Ok(port.nodes(local)),
        (None, Some(local)) => Ok(local),
        (None, None) => Err(StartError::Usage("no_node needs nodes.listen".to_owned())),
    }
}

/// Opens the database. Where it does not answer, the node runs from its last spec until
/// it does; returns `None` where a signal came before.
async fn open_or_wait(
    config: &Config,
    local: Option<&LocalNode>,
    listener: &TcpListener,
    signals: &mut ShutdownSignals,
) -> Result<Option<Store>, StartError> {
    let unavailable = match storage::open_store(config).await {
        Ok(store) => return Ok(Some(store)),
        Err(e) => e,
    };
    let agent = match local {
        Some(local) => {
            let checkpoint = degraded::usable_checkpoint(config, unavailable)?;
            prepare_machine(config);
            Some(local.backends.agent_from(checkpoint))
        }
        None => {
            degraded::report_waiting(unavailable)?;
            None
        }
    };
    Ok(degraded::run_without_database(config, agent, listener, signals).await)
}

/// Makes the prefix of IPv6 inside tunnels at the first start.
async fn ensure_ipv6_prefix(config: &Config, store: &Store) -> Result<(), StartError> {
    let random = Entropy::system().ipv6_prefix()?;
    let stored = store
        .ensure_ipv6_prefix(config.addresses.ipv6_prefix, random)
        .await?;
    if let Some(wanted) = config
        .addresses
        .ipv6_prefix
        .filter(|wanted| *wanted != stored)
    {
        tracing::warn!(
            %wanted,
            %stored,
            "addresses.ipv6_prefix is not used: the installation has another one, and tenants"
        );
    }
    Ok(())
}

async fn prune_sessions(sessions: Sessions) {
    let mut interval = tokio::time::interval(PRUNE_INTERVAL);
    loop {
        interval.tick().await;
        match sessions.prune().await {
            Ok(0) => {}
            Ok(n) => tracing::debug!(n, "expired sessions were removed"),
            Err(e) => tracing::warn!(error = ?e, "expired sessions cannot be removed"),
        }
    }
}
