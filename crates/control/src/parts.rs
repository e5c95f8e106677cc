//! The parts that the core is built from, and the operator's settings.

use crate::{entropy::Entropy, nodes::CapacitySettings};
use domain::{AddressPlan, NodeId, Slot};
use provisioning::{Clock, NodeHandle};
use std::{collections::BTreeSet, sync::Arc};
use store::Store;

/// The parts a [`Control`](crate::Control) is built from.
pub struct ControlParts {
    /// The database.
    pub store: Store,
    /// The local node.
    pub node: NodeHandle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Entropy,
    /// The operator's settings.
    pub settings: ControlSettings,
    /// How many tenants the node may hold, and who measures it.
    pub capacity: CapacitySettings,
}

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// The address ranges, which are the same as the node's.
    pub addresses: AddressPlan,
    /// The host that devices connect to, e.g. `vpn.example.org` or an address.
    pub public_host: String,
    /// The node that new tenants are placed on.
    pub node: NodeId,
    /// Slots that are never assigned.
    pub excluded_slots: BTreeSet<Slot>,
    /// Sign-ups allowed per hour from one address; 0 means no limit.
    pub sign_ups_per_hour: u32,
}
