//! What becomes of a connection on which the control plane asks: it is the worker's only
//! one, its state is read from it, and it ends when the worker is silent, damaged or no
//! longer admitted.

use super::{
    connection::CallConnection,
    lines::{LineError, Lines},
    peers::Identified,
    shared::{Shared, WorkerEntry},
};
use domain::{Problem, TenantName};
use protocol::{
    EventKind,
    wire::{MAX_LINE_BYTES, NodeUpdate, SILENCE, StateError},
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

/// How long the worker's state waits for its spec.
const SPEC_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the registry is asked whether the worker's certificate is still admitted.
const ADMISSION_INTERVAL: Duration = Duration::from_secs(10);
/// How often it is stored that the worker was heard.
const HEARD_INTERVAL: Duration = Duration::from_secs(20);
/// The most events of an update that are taken.
const MAX_EVENTS: usize = 1000;
/// How many tenants of other nodes a connection may name before no more of it is reported.
const MAX_FOREIGN: usize = 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("it does not speak HTTP/2")]
    Protocol(#[from] hyper::Error),
    #[error("it does not answer: {}", .0.message)]
    Call(Problem),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Update(#[from] StateError),
    #[error("its first update is not whole")]
    NotWhole,
    #[error("its certificate is no longer admitted")]
    NotAdmitted,
    #[error("a process with the same certificate is connected already")]
    Copied,
    #[error("the worker has dialled two addresses of this control plane")]
    Twice,
}

/// Uses a connection until it ends.
pub(super) async fn serve<T>(shared: Arc<Shared>, stream: T, peer: Identified, address: IpAddr)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let node = peer.node;
    let worker = shared.worker(node);
    let connection = match CallConnection::open(stream, peer.serial).await {
        Ok(connection) => connection,
        Err(e) => return report(&worker, &e.into()),
    };
    if let Err(e) = arrive(&shared, &worker, &connection, address).await {
        return report(&worker, &e);
    }
    tracing::info!(node = node.0, %address, "a worker has connected");
    let ended = tokio::select! {
        ended = read_state(&shared, &worker, &connection) => ended,
        ended = keep_admitted(&shared, &worker, &connection.serial) => ended,
        ended = pass_on_nudges(&worker, &connection) => ended,
    };
    worker.disconnect(&connection);
    connection.end();
    report(&worker, &ended);
    // Those who read the state learn that it is old.
    tokio::spawn(async move {
        tokio::time::sleep(worker.state.until_silence()).await;
        worker.state.report_silence();
    });
}

fn report(worker: &WorkerEntry, ended: &Ended) {
    let node = worker.node.0;
    let source = std::error::Error::source(ended);
    match ended {
        Ended::Twice => {
            tracing::debug!(node, reason = %ended, "a connection of a worker is closed")
        }
        Ended::Line(LineError::Ended | LineError::Broken(_)) => {
            tracing::info!(node, reason = %ended, ?source, "the connection of a worker ended");
        }
        _ => {
            tracing::warn!(node, reason = %ended, ?source, "the connection of a worker is closed");
        }
    }
}

/// Makes a connection the worker's, unless the process at the end of the present one is
/// still there: then two machines have the same certificate. A worker closes a connection
/// before it makes another.
async fn arrive(
    shared: &Shared,
    worker: &WorkerEntry,
    connection: &Arc<CallConnection>,
    address: IpAddr,
) -> Result<(), Ended> {
    let mut arrivals = worker.arrivals.lock().await;
    if let Some(present) = worker.connected()
        && let Some(presence) = present.presence().await
    {
        // It was listed under two addresses, or is reached by a balancer as well.
        if presence.instance.is_some() && connection.presence().await == Some(presence) {
            return Err(Ended::Twice);
        }
        if arrivals.is_copy_due() {
            let address = address.to_canonical().to_string();
            shared
                .events
                .report(worker.node, EventKind::NodeCopied { address });
        }
        return Err(Ended::Copied);
    }
    worker.connect(connection.clone());
    Ok(())
}

/// Reads the worker's state until that fails.
async fn read_state(
    shared: &Shared,
    worker: &Arc<WorkerEntry>,
    connection: &CallConnection,
) -> Ended {
    let state = match connection.state().await {
        Ok(state) => state,
        Err(problem) => return Ended::Call(problem),
    };
    // Events are compared with it, and signing in at AdGuard Homes needs it.
    let loading = tokio::time::timeout(SPEC_TIMEOUT, worker.specs.ensure());
    if !matches!(loading.await, Ok(Ok(()))) {
        refresh_spec(worker);
    }
    let mut lines = Lines::new(state, MAX_LINE_BYTES, SILENCE);
    let mut foreign = 0;
    let mut is_first = true;
    loop {
        let line = match lines.next().await {
            Ok(line) => line,
            Err(e) => return e.into(),
        };
        let update = match line.is_empty() {
            true => Ok(NodeUpdate::default()),
            false => NodeUpdate::from_line(&line),
        };
        let mut update = match update {
            Ok(update) => update,
            Err(e) => return e.into(),
        };
        if is_first && !update.whole {
            return Ended::NotWhole;
        }
        if let Some(instance) = update.instance.take() {
            connection.set_instance(instance);
        }
        report_events(shared, worker, &mut update, &mut foreign);
        let generation = update.node.as_ref().map(|node| node.generation);
        worker.state.apply(update);
        if is_first {
            let version = worker.state.version();
            shared.registry.heard(worker.node, &version).await;
        }
        is_first = false;
        // Another control plane has sent the worker something newer.
        if generation.is_some_and(|new| worker.specs.generation().is_some_and(|old| old < new)) {
            refresh_spec(worker);
        }
    }
}

/// Loads the worker's spec beside what else happens.
fn refresh_spec(worker: &Arc<WorkerEntry>) {
    let worker = worker.clone();
    tokio::spawn(async move {
        if let Err(problem) = worker.specs.refresh().await {
            let node = worker.node.0;
            tracing::warn!(node, problem = %problem.message, "a worker's spec could not be loaded");
        }
    });
}

/// Reports the events of an update, except those of tenants that the node does not have.
fn report_events(
    shared: &Shared,
    worker: &WorkerEntry,
    update: &mut NodeUpdate,
    foreign: &mut usize,
) {
    let node = worker.node;
    let mut lost = update.missed;
    let events = std::mem::take(&mut update.events);
    lost = lost.saturating_add(events.len().saturating_sub(MAX_EVENTS) as u64);
    let is_spec_known = worker.specs.generation().is_some();
    for event in events.into_iter().take(MAX_EVENTS) {
        match event.tenant() {
            Some(_) if !is_spec_known => lost = lost.saturating_add(1),
            Some(tenant) if !worker.specs.concerns(tenant.slot, &tenant.name) => {
                let name = tenant.name.clone();
                report_foreign(shared, worker, name, foreign);
            }
            _ => shared.events.report(node, event),
        }
    }
    shared.events.report_lost(node, lost);
}

/// Reports that a worker named a tenant that is not its own, if it is another worker's.
fn report_foreign(shared: &Shared, worker: &WorkerEntry, name: TenantName, foreign: &mut usize) {
    if *foreign >= MAX_FOREIGN {
        return;
    }
    *foreign += 1;
    let node = worker.node.0;
    tracing::warn!(node, tenant = %name, "an event of a tenant that the node does not have is ignored");
    if shared.is_elsewhere(worker.node, &name) {
        shared
            .events
            .report(worker.node, EventKind::ForeignTenant { name });
    }
}

/// Makes the worker ask for its spec when that has changed and its question is not here.
/// Nudges that come while one is on its way are one, which is sent afterwards.
async fn pass_on_nudges(worker: &WorkerEntry, connection: &CallConnection) -> Ended {
    let mut nudges = worker.distant_nudges.subscribe();
    // The sender is in the entry.
    while nudges.changed().await.is_ok() {
        connection.nudge().await;
    }
    std::future::pending().await
}

/// Stores that the worker is heard, and ends once its certificate is not admitted.
async fn keep_admitted(shared: &Shared, worker: &Arc<WorkerEntry>, serial: &str) -> Ended {
    let mut stored = Instant::now();
    loop {
        tokio::time::sleep(ADMISSION_INTERVAL).await;
        match shared.registry.admits(worker.node, serial).await {
            Ok(true) => {}
            Ok(false) => {
                // The answer to its question says so.
                worker.nudge();
                return Ended::NotAdmitted;
            }
            Err(problem) => {
                tracing::debug!(problem = %problem.message, "whether a worker is admitted is not known");
                continue;
            }
        }
        if stored.elapsed() >= HEARD_INTERVAL {
            stored = Instant::now();
            let version = worker.state.version();
            shared.registry.heard(worker.node, &version).await;
        }
    }
}
