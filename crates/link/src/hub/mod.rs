//! The control plane's end of the wire. Workers dial; two kinds of connections are told
//! apart by ALPN. On one the worker asks: it joins, renews its certificate and gets its
//! spec. On the other the control plane asks, and the worker's state comes as a stream.
//!
//! A worker is the node that its certificate names. It gets the spec of that node alone,
//! and what it reports is stored for that node alone. Nothing that a control plane knows
//! only from here is needed by another one: a worker has a connection for calls to each, and
//! everything else is in the database. Its question for the spec is at one of them; the
//! others nudge it by a call.

mod calls;
mod clock_offset;
mod connection;
mod events;
mod folder;
mod limits;
mod lines;
mod listener;
mod nodes;
mod peers;
mod polls;
mod registry;
mod reported_state;
mod requests;
mod shared;
mod spec_cache;
mod stalls;
mod tunnel;

pub use registry::Registry;

use domain::Clock;
use nodes::WorkerNodes;
use protocol::Nodes;
use rustls::ServerConfig;
use shared::Shared;
use std::{future::Future, sync::Arc};
use tokio::net::TcpListener;

/// The workers that connect to this control plane. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

impl Hub {
    /// Builds a hub without connections.
    pub fn new(registry: Arc<dyn Registry>, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared::new(registry, clock)),
        }
    }

    /// Serves workers until `shutdown` completes. `tls` is the authority's configuration
    /// of a control plane with [`REQUESTS`](protocol::wire::REQUESTS) and
    /// [`CALLS`](protocol::wire::CALLS).
    pub async fn run(
        &self,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        listener::run(self.shared.clone(), listener, tls, shutdown).await;
    }

    /// Returns how many workers have a connection for calls.
    pub fn connected(&self) -> usize {
        self.shared.connected()
    }

    /// Returns the workers as nodes.
    pub fn nodes(&self) -> Arc<dyn Nodes> {
        Arc::new(WorkerNodes(self.shared.clone()))
    }
}
