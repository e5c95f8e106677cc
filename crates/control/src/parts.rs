//! The parts that the core is built from, and the operator's settings.

use crate::{entropy::Entropy, nodes::WorkerAccess};
use domain::{AddressPlan, Clock, NodeId, Slot};
use protocol::Nodes;
use std::{collections::BTreeSet, sync::Arc};
use store::Store;

/// The parts a [`Control`](crate::Control) is built from.
pub struct ControlParts {
    /// The database.
    pub store: Store,
    /// The nodes, as far as this control plane hears from them.
    pub nodes: Arc<dyn Nodes>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Entropy,
    /// The operator's settings.
    pub settings: ControlSettings,
    /// Whether machines may become workers.
    pub workers: WorkerAccess,
}

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// The address ranges, which are the same as the node's.
    pub addresses: AddressPlan,
    /// The host that devices of the local node connect to, e.g. `vpn.example.org` or an
    /// address.
    pub public_host: String,
    /// The node in this process, if there is one.
    pub local: Option<NodeId>,
    /// Slots of the local node that are never assigned.
    pub excluded_slots: BTreeSet<Slot>,
    /// The limit on the number of the local node's tenants; `None` means as many as fit.
    pub max_tenants: Option<u32>,
    /// Sign-ups allowed per hour from one address; 0 means no limit.
    pub sign_ups_per_hour: u32,
    /// The time zone of new tenants, e.g. `Europe/Berlin`.
    pub time_zone: String,
}
