//! `maliknode worker run`: the node of this machine, and its link to the control plane.

use super::files::{IdentityFile, Membership, stored_identity};
use crate::{
    config::Config,
    console,
    local_node::{LocalNode, prepare_machine, stop},
    metrics::{self, Metrics},
    readiness::{Dependencies, Readiness},
    shutdown::{ShutdownSignals, closed},
    start_error::StartError,
    storage,
};
use agent::LocalNodes;
use domain::{AddressPlan, Message, NodeId, SystemClock};
use link::worker::{LinkError, LinkWatch, RemoteFeed, Worker, WorkerParts};
use std::sync::Arc;
use tokio::{sync::watch, task::JoinSet};

/// Runs until SIGTERM or SIGINT. Tunnels, containers and rules stay.
///
/// # Errors
/// The reason why it did not start.
pub async fn run(mut config: Config) -> Result<(), StartError> {
    let mut signals = ShutdownSignals::new().map_err(StartError::Web)?;
    let membership = Membership::load(&config)?;
    let membership = membership.ok_or_else(|| {
        StartError::from(&Message::WorkerNotJoined {
            path: config.worker().display().to_string(),
        })
    })?;
    use_addresses(&mut config, membership.addresses);
    let metrics_port = metrics::Listener::bind(config.metrics.listen).await?;
    let local = LocalNode::open(&config, membership.node)?;
    prepare_machine(&config);
    let wireguard = local.prepare().await;
    let checkpoint = storage::spec_checkpoint(&config, membership.node)?;
    let feed = Arc::new(RemoteFeed::default());
    let agent = local.backends.agent(feed.clone(), Some(checkpoint));
    let nodes = agent.nodes();
    let link = link(&config, &membership, feed, nodes.clone());

    let (close, closing) = watch::channel(false);
    let mut tasks = JoinSet::new();
    if let Some(port) = metrics_port {
        let watch = link.as_ref().ok().map(Worker::watch);
        let metrics = worker_metrics(membership.node, &nodes, watch);
        tasks.spawn(port.run(metrics, closed(closing.clone())));
    }
    let node = local.start(agent, &closing, &mut tasks);
    console::print_worker(&config, &membership);
    match link {
        Ok(link) => drop(tasks.spawn(link.run(closed(closing)))),
        // What the node holds does not depend on it.
        Err(e) => {
            tracing::error!(error = %e, "no link to the control plane: this machine goes on with its last spec");
            console::print_line(&format!("  Link       none: {e}"));
        }
    }
    console::print_wireguard(&wireguard);
    let docker = local.backends.clone();
    tasks.spawn(async move { console::print_docker(&config, &docker).await });

    signals.recv().await;
    let _ = close.send(true);
    tasks.abort_all();
    stop(node).await;
    console::print_line("MalikNode's worker has stopped. Tunnels and DNS filters stay up.");
    Ok(())
}

/// Uses the installation's address ranges, whatever the machine's own configuration says:
/// they are in every device's configuration.
fn use_addresses(config: &mut Config, addresses: AddressPlan) {
    if config.addresses.plan != addresses && config.addresses.plan != AddressPlan::default() {
        tracing::warn!(
            tunnels = %addresses.tunnels,
            containers = %addresses.containers,
            "the address ranges are those of the control plane, not those of [addresses]"
        );
    }
    config.addresses.plan = addresses;
}

/// Returns what is measured of a worker. `link` is missing where its certificate cannot be
/// used.
fn worker_metrics(node: NodeId, nodes: &LocalNodes, link: Option<LinkWatch>) -> Metrics {
    let readiness = Readiness::new(Dependencies {
        store: None,
        node: Some((node, Arc::new(nodes.clone()))),
        link: link.clone(),
    });
    let sources = metrics::MetricSources {
        engine: Some(nodes.engine().clone()),
        link,
        ..metrics::MetricSources::default()
    };
    Metrics::new(sources, readiness)
}

fn link(
    config: &Config,
    membership: &Membership,
    feed: Arc<RemoteFeed>,
    nodes: LocalNodes,
) -> Result<Worker, StartError> {
    let (control_plane, more_control_planes) = membership.control_planes(config)?;
    let parts = WorkerParts {
        node: membership.node,
        identity: stored_identity(config)?,
        control_plane,
        more_control_planes,
        feed,
        nodes: Arc::new(nodes),
        store: Arc::new(IdentityFile::new(config)),
        clock: Arc::new(SystemClock),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Worker::new(parts).map_err(LinkError::from)?)
}
