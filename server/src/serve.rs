//! `maliknode serve`: starts the server from the configuration, and stops it.
//!
//! An error of the server's own (a taken port, a key file it cannot read) ends
//! the start with a message. A machine that is not ready (Docker is down, `nft`
//! is missing) does not: the node retries until it is.

use crate::{
    accept,
    config::Config,
    console, degraded,
    local_node::{LocalNode, SHUTDOWN_TIMEOUT, prepare_machine, stop},
    node_port::NodePort,
    shutdown::{ShutdownSignals, closed},
    start_error::StartError,
    storage,
    web::{WebParts, hosts::Site, web},
    wiring,
};
use agent::Backends;
use std::{io, time::Duration};
use store::{LOCAL_NODE, Sessions, Store};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

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
    let local = LocalNode::open(&config, LOCAL_NODE)?;
    let backends = &local.backends;
    let Some(store) = open_or_wait(&config, backends, &listener, &mut signals).await? else {
        return Ok(());
    };
    prepare_machine(&config);
    if let Some(problem) = config.proxy_problem() {
        tracing::warn!("{}", texts::english().message(&problem));
    }
    let wireguard = local.prepare().await;
    let checkpoint = storage::spec_checkpoint(&config, LOCAL_NODE)?;
    let (agent, control) = wiring::core(
        &config,
        backends,
        store.clone(),
        Some(checkpoint),
        port.as_ref(),
    );
    let operator = control.operators().ensure_first().await?;

    let (close, closing) = watch::channel(false);
    let mut tasks = JoinSet::new();
    if let Some(port) = port {
        port.start(&control, &store, closing.clone(), &mut tasks)
            .await?;
    }
    let node = local.start(agent, &closing, &mut tasks);
    let core = control.clone();
    tasks.spawn(async move { core.run().await });
    tasks.spawn(prune_sessions(Sessions::new(store.clone())));

    let web = web(WebParts {
        control,
        store: store.clone(),
        site: Site {
            base: config.base.clone(),
            scheme: config.scheme,
            trusted_proxies: config.trusted_proxies.clone(),
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
        closed(closing),
    );
    let mut server = tokio::spawn(server);

    console::print_addresses(&config, &store, operator.as_ref());
    console::print_wireguard(&wireguard);
    let docker = local.backends.clone();
    tasks.spawn(async move { console::print_docker(&config, &docker).await });

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
    tasks.abort_all();
    stop(node).await;
    store.close().await;
    console::print_line("MalikNode has stopped. Tunnels and DNS filters stay up.");
    Ok(())
}

/// Opens the database. Where it does not answer, runs from the last spec until
/// it does; returns `None` where a signal came before.
async fn open_or_wait(
    config: &Config,
    backends: &Backends,
    listener: &TcpListener,
    signals: &mut ShutdownSignals,
) -> Result<Option<Store>, StartError> {
    let unavailable = match storage::open_store(config).await {
        Ok(store) => return Ok(Some(store)),
        Err(e) => e,
    };
    let checkpoint = degraded::usable_checkpoint(config, unavailable)?;
    prepare_machine(config);
    Ok(degraded::run_without_database(config, backends, checkpoint, listener, signals).await)
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
