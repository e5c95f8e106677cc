//! The parts that the core is built from, and the operator's settings.

use crate::{
    entropy::Entropy,
    nodes::{EndpointNames, WorkerAccess},
};
use domain::{AddressPlan, Clock, NodeId, SignUpMode, Slot};
use protocol::Nodes;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
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
    /// What tenants' endpoints are called; `None` where they have no names.
    pub names: Option<EndpointNames>,
}

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// The name of this control plane among those that use the database.
    pub control_plane: String,
    /// Where workers reach this control plane, e.g. `https://203.0.113.7:8443`; the others
    /// have other addresses.
    pub address: Option<String>,
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
    /// Where the installation's pages are, e.g. `https://vpn.example.org`, for links.
    pub base_url: String,
    /// Who may sign up, where no operator has set it.
    pub sign_up: SignUpMode,
    /// Sign-ups allowed per hour from one address; 0 means no limit.
    pub sign_ups_per_hour: u32,
    /// Sign-ups allowed per hour in all; 0 means no limit.
    pub sign_ups_per_hour_total: u32,
    /// How long after its sign-up a tenant is put to sleep of which no device has connected;
    /// never for zero.
    pub sleep_after: Duration,
    /// How long a node that a tenant has left sends its packets on to the new one; not at
    /// all for zero.
    pub forward_time: Duration,
    /// The time zone of new tenants, e.g. `Europe/Berlin`.
    pub time_zone: String,
}
