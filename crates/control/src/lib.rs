//! The product's core: accounts, sign-in, devices, statistics, events.
//!
//! The web server and the command line call this one core. A request changes
//! rows in one transaction, commits, then nudges the node; it never touches the
//! machine itself. There is a folder for each capability.

mod auth;
mod devices;
mod dns;
mod entropy;
mod events;
mod failures;
mod inputs;
mod jobs;
mod nodes;
mod operators;
mod plans;
mod tenants;
#[cfg(test)]
mod test_node;
mod traffic;
mod watch;

pub use entropy::Entropy;
pub use failures::{incident_id, internal};
pub use inputs::{
    Audience, ChangedDevice, DeviceChange, DnsTarget, NewDevice, OperatorSession, RedeemedTicket,
    SignInTicket, SignUp,
};
pub use nodes::{CapacitySettings, CheckpointingSource, SpecCheckpoint, StoreSpecs};

use auth::{Hasher, Limits};
use domain::{AddressPlan, NodeId, Slot};
use events::{EventWriter, Timing};
use nodes::Capacity;
use provisioning::{Clock, NodeHandle};
use std::{collections::BTreeSet, sync::Arc};
use store::Store;
use traffic::Meter;
use watch::TenantNotifier;

/// The parts a [`Control`] is built from.
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

/// The core. It is cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    store: Store,
    node: NodeHandle,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    settings: ControlSettings,
    hasher: Hasher,
    limits: Limits,
    meter: Arc<Meter>,
    capacity: Capacity,
    events: EventWriter,
    notifier: TenantNotifier,
}

impl Control {
    /// Builds the core. Its background jobs begin with [`Control::run`].
    pub fn new(parts: ControlParts) -> Self {
        let ControlParts {
            store,
            node,
            clock,
            entropy,
            settings,
            capacity,
        } = parts;
        Self(Arc::new(Inner {
            meter: Arc::new(Meter::new(store.clone(), node.clone(), clock.clone())),
            capacity: Capacity::new(capacity, node.clone()),
            events: EventWriter::new(
                store.clone(),
                node.clone(),
                clock.clone(),
                settings.node,
                Timing::default(),
            ),
            hasher: Hasher::new(),
            limits: Limits::new(settings.sign_ups_per_hour),
            notifier: TenantNotifier::default(),
            store,
            node,
            clock,
            entropy,
            settings,
        }))
    }
}
