//! While the database is away at a start: tunnels, rules and DNS filters come
//! up from the spec that was kept on the disk, and every page says what is
//! missing. Once the database answers, the ordinary start goes on in the same
//! process, and nothing that is in force is touched in between.

use crate::{
    accept::{self, Limits},
    config::Config,
    machine::Machine,
    serve::{Ends, closed, kept_spec, open_store, say},
    start_error::StartError,
};
use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
};
use control::KeptSpec;
use std::{io, sync::Arc, time::Duration};
use store::Store;
use tokio::{net::TcpListener, sync::watch};

/// Between two tries to open the database.
const AGAIN: Duration = Duration::from_secs(2);
/// How long the node may take to end what it began.
const PATIENCE: Duration = Duration::from_secs(5);

const SENTENCE: &str = "MalikNode's database does not answer. Tunnels and DNS filters go on as they were; sign-in and changes come back with the database. On the server, `maliknode doctor` says more.\n";

/// The kept spec, where there is a usable one and the database is only away.
///
/// # Errors
/// The database's own error otherwise, with what is wrong with the copy.
pub(crate) fn kept(config: &Config, away: StartError) -> Result<KeptSpec, StartError> {
    if !away.is_no_database() {
        return Err(away);
    }
    let kept = kept_spec(config)?;
    match kept.read() {
        Ok(Some(spec)) => {
            tracing::error!(error = ?away, generation = spec.generation, tenants = spec.tenants.len(), "no database: coming up from the last spec that was kept");
            say(&format!(
                "  Database   {away}\n             Until it answers, {} tenants' tunnels and DNS filters come from {}",
                spec.tenants.len(),
                kept.path().display()
            ));
            Ok(kept)
        }
        Ok(None) => Err(away),
        Err(copy) => {
            tracing::error!(error = %copy, cause = ?copy.cause, "nor is there a last spec to come up from");
            say(&format!("  Database   {away}\n             {copy}"));
            Err(away)
        }
    }
}

/// Keeps the machine at the kept spec until the database is there; `None` where
/// we were told to end before.
pub(crate) async fn until_there(
    config: &Config,
    machine: &Machine,
    kept: KeptSpec,
    listener: &TcpListener,
    ends: &mut Ends,
) -> Option<Store> {
    let (close, closing) = watch::channel(false);
    let (node, _handle) = machine.node(config, Arc::new(kept));
    let mut node = tokio::spawn(node.run(closed(closing.clone())));
    let pages = shared(listener).map(|listener| {
        let router = Router::new().fallback(away);
        tokio::spawn(accept::run(
            listener,
            router,
            Limits::default(),
            closed(closing),
        ))
    });
    let store = tokio::select! {
        () = ends.told() => None,
        store = opened(config) => Some(store),
    };
    let _ = close.send(true);
    if tokio::time::timeout(PATIENCE, &mut node).await.is_err() {
        tracing::warn!("the node did not end in time");
        node.abort();
    }
    match pages {
        Ok(pages) => pages.abort(),
        Err(e) => tracing::warn!(error = %e, "nobody could be told that the database is away"),
    }
    if store.is_some() {
        tracing::info!("the database is there");
    }
    store
}

/// The same socket a second time: the server that follows goes on with it.
fn shared(listener: &TcpListener) -> io::Result<TcpListener> {
    use std::os::fd::AsFd;
    let socket = listener.as_fd().try_clone_to_owned()?;
    TcpListener::from_std(socket.into())
}

async fn opened(config: &Config) -> Store {
    loop {
        tokio::time::sleep(AGAIN).await;
        match open_store(config).await {
            Ok(store) => return store,
            Err(e) => tracing::warn!(error = %e, "the database does not answer yet"),
        }
    }
}

async fn away() -> impl IntoResponse {
    let headers = [
        (header::RETRY_AFTER, "10"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
    ];
    (StatusCode::SERVICE_UNAVAILABLE, headers, SENTENCE)
}
