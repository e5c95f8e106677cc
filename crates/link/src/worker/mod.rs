//! The worker's end of the wire. A worker dials; it needs no open port for this.
//!
//! Three loops run beside the engine: one polls for the spec and hands it to the engine
//! through [`RemoteFeed`], one serves the calls of the control plane, and one renews the
//! certificate. Each connects again after a failure, to the next control plane, and none
//! ever takes anything away: what is in force stays in force.

mod address;
mod calls;
mod credentials;
mod dial;
mod error;
mod feed;
mod join;
mod poll;
mod probe;
mod random;
mod renewal;
mod requests;
mod retry;
mod state;
mod targets;
mod tunnel;

pub use address::{AddressError, ControlPlane};
pub use credentials::Identity;
pub use error::LinkError;
pub use feed::RemoteFeed;
pub use join::{JoinParts, Joined, join};
pub use probe::probe;
pub use renewal::{IdentityStore, RENEWAL_MILLIS};

use calls::Calls;
use credentials::Credentials;
use domain::{Clock, NodeId};
use pki::PkiError;
use poll::Poller;
use protocol::Nodes;
use renewal::Renewal;
use std::{future::Future, sync::Arc};
use targets::Targets;
use tokio::{sync::Notify, task::JoinSet};
use tunnel::Tunnels;

/// What a worker's link is made of.
pub struct WorkerParts {
    pub node: NodeId,
    pub identity: Identity,
    /// The control plane that is tried first.
    pub control_plane: ControlPlane,
    /// The others.
    pub more_control_planes: Vec<ControlPlane>,
    /// What the engine's specs come from.
    pub feed: Arc<RemoteFeed>,
    /// This node, as a control plane sees it.
    pub nodes: Arc<dyn Nodes>,
    /// Where a renewed certificate is stored.
    pub store: Arc<dyn IdentityStore>,
    pub clock: Arc<dyn Clock>,
    /// The version of this program.
    pub version: String,
}

/// A worker's link. It works while [`Worker::run`] runs.
pub struct Worker {
    poller: Poller,
    calls: Calls,
    renewal: Renewal,
}

impl Worker {
    /// Builds the link.
    ///
    /// # Errors
    /// The identity cannot be used, or is of another node. An expired one is none.
    pub fn new(parts: WorkerParts) -> Result<Self, PkiError> {
        let WorkerParts {
            node,
            nodes,
            version,
            ..
        } = parts;
        let credentials = Arc::new(Credentials::new(parts.identity, node, parts.clock)?);
        let targets = Targets::new(parts.control_plane, parts.more_control_planes);
        let refused = Arc::new(Notify::new());
        let instance = format!("{:016x}{:016x}", random::number(), random::number());
        Ok(Self {
            poller: Poller {
                node,
                credentials: credentials.clone(),
                targets: targets.clone(),
                feed: parts.feed,
                nodes: nodes.clone(),
                instance: instance.clone(),
                refused: refused.clone(),
            },
            calls: Calls {
                node,
                credentials: credentials.clone(),
                targets: targets.clone(),
                tunnels: Tunnels::new(node, nodes.clone()),
                nodes,
                instance,
                version: version.clone(),
            },
            renewal: Renewal {
                credentials,
                targets,
                store: parts.store,
                version,
                refused,
            },
        })
    }

    /// Runs until `shutdown` completes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        // Ended when it is dropped.
        let mut loops = JoinSet::new();
        loops.spawn(self.poller.run());
        loops.spawn(self.calls.run());
        loops.spawn(self.renewal.run());
        shutdown.await;
    }
}

#[cfg(test)]
mod tests;
