//! What the operator's page of nodes shows.

use super::{CapacityView, DiskView};
use crate::{
    id::NodeId,
    message::Message,
    node::{MoveReason, NodeStanding},
    status::Problem,
    tenant_name::TenantName,
    time::Timestamp,
};

/// A node in the operator's list.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRow {
    pub id: NodeId,
    /// What the operator calls it.
    pub name: String,
    /// The host that devices connect to.
    pub host: Option<String>,
    /// Whether it is in this control plane's process, and no worker.
    pub is_local: bool,
    pub standing: NodeStanding,
    /// The number of its tenants.
    pub tenants: u32,
    /// How many more fit.
    pub capacity: CapacityView,
    /// The disk with the tenants' folders; `None` if it is not known.
    pub disk: Option<DiskView>,
    /// Its WireGuard implementation, in words; empty if it is not known.
    pub wireguard: String,
    /// The version of its program.
    pub version: Option<String>,
    /// When a worker was last heard from.
    pub last_heard: Option<Timestamp>,
    /// Until when a worker's certificate is valid.
    pub certificate_expires: Option<Timestamp>,
    /// Its problems, with what to do, the most severe first.
    pub problems: Vec<Problem>,
}

/// Whether machines may become workers of this installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkersAllowed {
    Yes,
    /// The database is SQLite, which only one process on one machine can use.
    NeedsPostgres,
    /// No address is configured at which workers reach this control plane.
    NoAddress,
}

/// The nodes of an installation.
#[derive(Clone, Debug, PartialEq)]
pub struct NodesView {
    /// The server's time when this was created.
    pub now: Timestamp,
    pub workers: WorkersAllowed,
    /// The local node first, then workers in the order in which they joined.
    pub nodes: Vec<NodeRow>,
    /// The moves that are still to be carried out, in that order.
    pub moves: Vec<MoveRow>,
    /// Why workers do not connect to each control plane, if there are several.
    pub unreached: Option<Message>,
    /// Why the names of endpoints are not up to date at the name server.
    pub unnamed: Option<Message>,
}

/// A move that is still to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRow {
    /// The tenant.
    pub name: TenantName,
    pub from: NodeId,
    /// Its new node; `None` for any.
    pub to: Option<NodeId>,
    pub reason: MoveReason,
    pub begun_at: Timestamp,
    /// How many bytes of what AdGuard Home has stored the present attempt has copied; `None`
    /// if they stay behind.
    pub copied_bytes: Option<u64>,
    /// Why the last attempt failed. It is tried again.
    pub problem: Option<Problem>,
}

/// A problem of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeProblem {
    /// The node's name; `None` where there is only one node.
    pub node: Option<String>,
    pub problem: Problem,
}

/// What a node says of itself on the page of what tenants use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFigures {
    /// The node's name; `None` where there is only one node.
    pub node: Option<String>,
    /// The disk with the tenants' folders; `None` if it is not measured.
    pub disk: Option<DiskView>,
    /// Why its figures are missing, if it said so.
    pub problem: Option<Problem>,
}
