//! The worker's end of the wire. A worker dials; it needs no open port for this.
//!
//! Loops run beside the engine: one polls for the spec and hands it to the engine through
//! [`RemoteFeed`], one serves the calls of each control plane, one records what happens
//! until it was sent, one renews the certificate, and one stores which control planes there
//! are. Each connects again after a failure, the
//! first and the third to another control plane, and none ever takes anything away: what is
//! in force stays in force.

mod address;
mod call_connections;
mod calls;
mod control_planes;
mod credentials;
mod dial;
mod error;
mod event_log;
mod feed;
mod folder;
mod join;
mod known_list;
mod poll;
mod probe;
mod raised;
mod random;
mod readings;
mod renewal;
mod requests;
mod responses;
mod retry;
mod state;
mod tunnel;
mod wakes;
mod watch;

pub use address::{AddressError, ControlPlane};
pub use credentials::Identity;
pub use error::LinkError;
pub use feed::RemoteFeed;
pub use join::{JoinParts, Joined, join, join_with_key};
pub use probe::probe;
pub use renewal::{IdentityStore, RENEWAL_MILLIS};
pub use watch::LinkWatch;

use call_connections::CallConnections;
use calls::Calls;
use control_planes::{ControlPlanes, Cursor};
use credentials::Credentials;
use domain::{Clock, NodeId};
use event_log::EventLog;
use futures_util::stream::BoxStream;
use known_list::KnownList;
use pki::PkiError;
use poll::{PollParts, Poller};
use protocol::{Nodes, Reported};
use renewal::Renewal;
use std::{future::Future, sync::Arc};
use tokio::{sync::Notify, task::JoinSet};
use tunnel::Tunnels;
use wakes::Wakes;

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
    /// Where a renewed certificate and the list of control planes are stored.
    pub store: Arc<dyn IdentityStore>,
    pub clock: Arc<dyn Clock>,
    /// The version of this program.
    pub version: String,
}

/// A worker's link. It works while [`Worker::run`] runs.
pub struct Worker {
    poller: Poller,
    calls: CallConnections,
    renewal: Renewal,
    known_list: KnownList,
    events: Arc<EventLog>,
    happening: BoxStream<'static, Reported>,
    watch: LinkWatch,
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
        let clock = parts.clock;
        let credentials = Arc::new(Credentials::new(parts.identity, node, clock.clone())?);
        let control_planes = Arc::new(ControlPlanes::new(
            parts.control_plane,
            parts.more_control_planes,
            parts.store.stored_control_planes(),
        ));
        let (refused, wakes) = (Arc::new(Notify::new()), Arc::<Wakes>::default());
        let events = Arc::new(EventLog::new(node));
        let instance = format!("{:016x}{:016x}", random::number(), random::number());
        Ok(Self {
            happening: nodes.events(),
            watch: LinkWatch {
                control_planes: control_planes.clone(),
                credentials: credentials.clone(),
            },
            events: events.clone(),
            poller: Poller::new(PollParts {
                node,
                credentials: credentials.clone(),
                control_planes: control_planes.clone(),
                wakes: wakes.clone(),
                feed: parts.feed,
                nodes: nodes.clone(),
                instance: instance.clone(),
                refused: refused.clone(),
            }),
            calls: CallConnections {
                calls: Calls {
                    node,
                    credentials: credentials.clone(),
                    control_planes: control_planes.clone(),
                    wakes,
                    tunnels: Tunnels::new(node, nodes.clone()),
                    nodes,
                    events,
                    readings: Arc::default(),
                    clock,
                    instance,
                    version: version.clone(),
                },
                control_planes: control_planes.clone(),
            },
            renewal: Renewal {
                credentials,
                control_planes: Cursor::new(control_planes.clone()),
                store: parts.store.clone(),
                version,
                refused,
            },
            known_list: KnownList {
                control_planes,
                store: parts.store,
            },
        })
    }

    /// Returns what the rest of the process sees of the link.
    pub fn watch(&self) -> LinkWatch {
        self.watch.clone()
    }

    /// Runs until `shutdown` completes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        // Ended when it is dropped.
        let mut loops = JoinSet::new();
        loops.spawn(self.events.record(self.happening));
        loops.spawn(self.poller.run());
        loops.spawn(self.calls.run());
        loops.spawn(self.renewal.run());
        loops.spawn(self.known_list.run());
        shutdown.await;
    }
}

#[cfg(test)]
mod tests;
