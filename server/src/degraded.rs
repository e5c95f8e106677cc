//! A start while the database is down. Tunnels, rules and DNS filters come up
//! from the checkpoint of the last spec, and every page says what is missing.
//! Once the database answers, the ordinary start continues in the same process;
//! nothing that is in force changes in between.

use crate::{
    accept,
    config::Config,
    console::print_line,
    health,
    readiness::Report,
    shutdown::{ShutdownSignals, closed},
    start_error::StartError,
    storage::{open_store, spec_checkpoint},
    wiring,
};
use agent::{Agent, SpecCheckpoint};
use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{io, time::Duration};
use store::{LOCAL_NODE, Store};
use tokio::{net::TcpListener, sync::watch};

/// The time between two attempts to open the database.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// How long the node may take to finish what it began.
const NODE_TIMEOUT: Duration = Duration::from_secs(5);

const MESSAGE: &str = "MalikNode's database does not answer. Tunnels and DNS filters continue to work; sign-in and changes will work again with the database. On the server, `maliknode doctor` says more.\n";

/// Returns the checkpoint where it is usable and the database is only down.
///
/// # Errors
/// The database's own error otherwise. What is wrong with the checkpoint is
/// logged and printed.
pub(crate) fn usable_checkpoint(
    config: &Config,
    unavailable: StartError,
) -> Result<SpecCheckpoint, StartError> {
    if !unavailable.is_database_unavailable() {
        return Err(unavailable);
    }
    let checkpoint = spec_checkpoint(config, LOCAL_NODE)?;
    match checkpoint.read() {
        Ok(Some(spec)) => {
            tracing::error!(error = ?unavailable, generation = spec.generation, tenants = spec.tenants.len(), "no database: starting from the last spec");
            print_line(&format!(
                "  Database   {unavailable}\n             Until it answers, {} tenants' tunnels and DNS filters come from {}",
                spec.tenants.len(),
                checkpoint.path().display()
            ));
            Ok(checkpoint)
        }
        Ok(None) => Err(unavailable),
        Err(e) => {
            tracing::error!(error = %e, cause = ?e.cause, "no database, and the last spec cannot be used either");
            let reason = texts::english().message(&e.message);
            print_line(&format!(
                "  Database   {unavailable}\n             {reason}"
            ));
            Err(unavailable)
        }
    }
}

/// Says that a control plane without a node waits for the database.
///
/// # Errors
/// The database's own error, unless it is only down.
pub(crate) fn report_waiting(unavailable: StartError) -> Result<(), StartError> {
    if !unavailable.is_database_unavailable() {
        return Err(unavailable);
    }
    tracing::error!(error = ?unavailable, "no database: waiting for it");
    print_line(&format!(
        "  Database   {unavailable}\n             Until it answers, every page says so; workers go on"
    ));
    Ok(())
}

/// Runs the node, if there is one, from its checkpoint until the database answers. Returns
/// `None` where a signal came before.
pub(crate) async fn run_without_database(
    config: &Config,
    agent: Option<Agent>,
    listener: &TcpListener,
    signals: &mut ShutdownSignals,
) -> Option<Store> {
    let (close, closing) = watch::channel(false);
    let node = agent.map(|agent| tokio::spawn(agent.run(closed(closing.clone()))));
    let pages = duplicate(listener).map(|listener| {
        // The process lives, but is not ready.
        let router = Router::new()
            .route("/healthz", get(health::live))
            .route("/readyz", get(not_ready))
            .fallback(unavailable);
        tokio::spawn(accept::run(
            listener,
            router,
            wiring::accept_limits(config),
            closed(closing),
        ))
    });
    let store = tokio::select! {
        () = signals.recv() => None,
        store = wait_for_database(config) => Some(store),
    };
    let _ = close.send(true);
    if let Some(mut node) = node
        && tokio::time::timeout(NODE_TIMEOUT, &mut node).await.is_err()
    {
        tracing::warn!("the node did not stop in time");
        node.abort();
    }
    match pages {
        Ok(pages) => pages.abort(),
        Err(e) => {
            tracing::warn!(error = %e, "the page about the missing database could not be served");
        }
    }
    if store.is_some() {
        tracing::info!("the database answers again");
    }
    store
}

/// Duplicates the listening socket, so that the server that follows can use it
/// too.
fn duplicate(listener: &TcpListener) -> io::Result<TcpListener> {
    use std::os::fd::AsFd;
    let socket = listener.as_fd().try_clone_to_owned()?;
    TcpListener::from_std(socket.into())
}

async fn wait_for_database(config: &Config) -> Store {
    loop {
        tokio::time::sleep(RETRY_INTERVAL).await;
        match open_store(config).await {
            Ok(store) => return store,
            Err(e) => tracing::warn!(error = %e, "the database does not answer yet"),
        }
    }
}

async fn not_ready() -> Response {
    health::answer(&Report {
        dependencies: vec![("database", false)],
    })
}

async fn unavailable() -> impl IntoResponse {
    let headers = [
        (header::RETRY_AFTER, "10"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
    ];
    (StatusCode::SERVICE_UNAVAILABLE, headers, MESSAGE)
}
