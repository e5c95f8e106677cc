//! The planner: from a spec and an observation to steps. Pure.
//!
//! Invariants
//! * What is unknown is left alone: no step is planned for a port that could
//!   not be read.
//! * Revocations come first, and none of them waits for a creation.
//! * An interface of ours is never up without its elements in the firewall:
//!   it is made only once they are observed there, and they go only once it is
//!   observed gone.
//! * What is under way counts as both done and not done: an interface that
//!   may be coming keeps its elements, elements that may be going let no
//!   interface come, and a folder goes only when nothing is started from it.
//! * What carries no mark of ours is never named in a step.
//!
//! What is planned for a slot depends on nothing but what is known of that slot
//! and of its tenant's name, and on a few facts of the whole node
//! (`planner::Facts`). That is why a [`Planner`] may keep a plan and make anew what was
//! touched only; [`plan`] makes all of it.

mod containers;
mod elements;
mod folders;
mod planner;
mod tunnel;
mod view;

pub use planner::Planner;
pub use tunnel::peer_change;
pub(crate) use view::{ContainerIndex, wanted_elements};

use crate::{
    observed::{Observed, ObservedInterface},
    pending::Pending,
    ports::{FirewallChange, PeerChange},
    spec::{InterfaceSpec, NodeSettings, NodeSpec},
    touched::Touched,
};
use domain::Slot;
use std::{collections::BTreeMap, sync::Arc};

/// What every mark of ours begins with (see [`TenantSpec::owner`]).
pub const OWNER_PREFIX: &str = "maliknode ";

/// One small, idempotent piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One transaction of the firewall.
    Firewall(FirewallChange),
    /// Remove an interface of ours.
    DeleteInterface(Slot),
    /// Change single peers.
    ChangePeers(Slot, PeerChange),
    /// Make an interface, or bring it to its spec.
    EnsureInterface(InterfaceSpec),
    /// Remove a container of ours, by the engine's id.
    RemoveContainer(String),
    /// Write what AdGuard Home needs for its first start, make its container, start it.
    StartContainer(Slot),
    /// Bring AdGuard Home's clients to the devices.
    SetClients(Slot),
    /// Write a tenant's folder: `wg<n>.conf` and keys.
    WriteFolder(Slot),
    /// Remove the folder of a tenant who is gone, by the folder's name.
    RemoveFolder(String),
    /// Try to get the image.
    FetchImage,
}

/// Steps of one lane run one after another; lanes run side by side, so a slow
/// one delays nobody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The one firewall table.
    Firewall,
    /// A slot's interface.
    Tunnel(Slot),
    /// A slot's container.
    Container(Slot),
    /// A container that belongs to no slot any more.
    Stray(String),
    /// A slot's AdGuard Home.
    Dns(Slot),
    /// A tenant's folder.
    Folder(String),
    /// The image.
    Image,
}

/// What to do, lane by lane.
pub type Plan = BTreeMap<Lane, Vec<Step>>;

/// Plans the way from what is observed to the spec, all of it. An empty plan
/// means that everything that can be read is as it should be.
pub fn plan(
    spec: &NodeSpec,
    observed: &Observed,
    pending: &Pending,
    settings: &NodeSettings,
) -> Plan {
    let mut planner = Planner::default();
    let spec = Arc::new(spec.clone());
    planner.renew(&spec, observed, pending, settings, Touched::default());
    planner.into_plan()
}

/// Whether an interface carries a mark of ours.
pub fn is_ours(i: &ObservedInterface) -> bool {
    i.owner
        .as_deref()
        .is_some_and(|o| o.starts_with(OWNER_PREFIX))
}
