//! What a plan consists of: steps, in lanes.

use crate::{
    ports::{FirewallChange, PeerChange},
    spec::InterfaceSpec,
};
use domain::Slot;
use std::collections::BTreeMap;

/// One small, idempotent change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One transaction of the firewall.
    Firewall(FirewallChange),
    /// Remove an interface of ours.
    DeleteInterface(Slot),
    /// Change single peers.
    ChangePeers(Slot, PeerChange),
    /// Create an interface, or change it to match its spec.
    EnsureInterface(InterfaceSpec),
    /// Remove a container of ours, by the engine's id.
    RemoveContainer(String),
    /// Write what AdGuard Home needs for its first start, create its container, and
    /// start it.
    StartContainer(Slot),
    /// Change AdGuard Home's clients to match the devices.
    SetClients(Slot),
    /// Write a tenant's folder: `wg<n>.conf` and keys.
    WriteFolder(Slot),
    /// Remove the folder of a former tenant, by the folder's name.
    RemoveFolder(String),
    /// Pull the image.
    FetchImage,
}

/// A sequence of steps. The steps of one lane run one after another; lanes run
/// concurrently, so a slow one delays no other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The one firewall table.
    Firewall,
    /// A slot's interface.
    Tunnel(Slot),
    /// A slot's container.
    Container(Slot),
    /// A container without a slot.
    Stray(String),
    /// A slot's AdGuard Home.
    Dns(Slot),
    /// A tenant's folder.
    Folder(String),
    /// The image.
    Image,
}

/// The steps to execute, by lane.
pub type Plan = BTreeMap<Lane, Vec<Step>>;
