//! What a plan consists of: steps, in lanes.

use crate::{
    ports::{DnsPart, FirewallChange, PeerChange},
    spec::InterfaceSpec,
};
use domain::Slot;
use ipnet::Ipv4Net;
use protocol::SpeedLimits;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

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
    /// Set the speed limits of a slot's interface.
    LimitSpeed(Slot, SpeedLimits),
    /// End the tracked connections of addresses whose holders have left, by slot.
    EndConnections(BTreeMap<Slot, BTreeSet<Ipv4Net>>),
    /// End the tracked connections of every address of ours but these: what was left
    /// before this process started.
    SweepConnections(BTreeSet<Ipv4Addr>),
    /// End the tracked connections of slots' ports that are not sent on to these nodes,
    /// or, for `None`, are sent on.
    RedirectConnections(BTreeMap<Slot, Option<Ipv4Addr>>),
    /// Move a damaged part of an AdGuard Home out of the way.
    SetAside(Slot, DnsPart),
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
    /// The speed limits of a slot's interface.
    Speed(Slot),
    /// The table of tracked connections.
    Connections,
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

impl Lane {
    /// The kinds of lanes, in the order of [`Lane::kind`].
    pub(crate) const KINDS: [&str; 9] = [
        "firewall",
        "tunnel",
        "speed",
        "connections",
        "container",
        "stray",
        "dns",
        "folder",
        "image",
    ];

    /// Returns what kind of lane it is, as an index into [`Lane::KINDS`].
    pub(crate) const fn kind(&self) -> usize {
        match self {
            Self::Firewall => 0,
            Self::Tunnel(_) => 1,
            Self::Speed(_) => 2,
            Self::Connections => 3,
            Self::Container(_) => 4,
            Self::Stray(_) => 5,
            Self::Dns(_) => 6,
            Self::Folder(_) => 7,
            Self::Image => 8,
        }
    }
}

/// The steps to execute, by lane.
pub type Plan = BTreeMap<Lane, Vec<Step>>;
