//! What a person can ask for: sign up, sign in, add a device, see a dashboard.
//!
//! The dashboard's server functions, the REST API and the command line call
//! this one core. A request changes rows in one transaction, commits, then
//! nudges the node; it never touches the machine itself.

mod accounts;
mod capacity;
mod dashboard;
mod devices;
mod entropy;
mod events;
mod failures;
mod hasher;
mod kept;
mod limiter;
mod meter;
mod operator;
mod password;
#[cfg(test)]
mod pressure;
mod requests;
mod signing_in;
mod specs;
mod tickets;
mod watching;

pub use capacity::CapacitySettings;
pub use entropy::Entropy;
pub use failures::{incident_id, internal};
pub use kept::{KeepingSpecs, KeptSpec};
pub use requests::{
    Arrival, Audience, ChangedDevice, DeviceChange, DnsTarget, NewDevice, OperatorArrival,
    Redeemed, SignUp,
};
pub use specs::StoreSpecs;

use capacity::Capacity;
use domain::{AddressPlan, NodeId, Slot};
use events::{Pace, Recorder};
use hasher::Hasher;
use limiter::Limiter;
use meter::Meter;
use provisioning::{Clock, NodeHandle};
use std::{collections::BTreeSet, sync::Arc};
use store::Store;
use watching::Watching;

/// Changes a tenant may make in a minute: the largest plan's fifty devices can be
/// made and deleted in one go, by a script too; more is somebody's loop.
const CHANGES_PER_MINUTE: u32 = 120;

/// What `control` is made of.
pub struct ControlParts {
    /// The database.
    pub store: Store,
    /// The local node.
    pub node: NodeHandle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Entropy,
    /// What the operator has set.
    pub settings: ControlSettings,
    /// How many tenants the node may hold, and who measures it.
    pub capacity: CapacitySettings,
}

/// What the operator has set.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// The address ranges; the node's are the same.
    pub addresses: AddressPlan,
    /// The host that devices connect to, e.g. `vpn.example.org` or an address.
    pub public_host: String,
    /// The node new tenants go to.
    pub node: NodeId,
    /// Slots that are never given away.
    pub excluded_slots: BTreeSet<Slot>,
    /// Sign-ups an hour from one address; 0 is no limit.
    pub sign_ups_per_hour: u32,
}

/// The core. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    store: Store,
    node: NodeHandle,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    settings: ControlSettings,
    hasher: Hasher,
    sign_ins: Limiter,
    sign_ups: Limiter,
    /// Changes of a tenant, whatever they are of.
    changes: Limiter,
    /// Lock-outs that were written down.
    lock_outs: Limiter,
    meter: Arc<Meter>,
    capacity: Capacity,
    recorder: Recorder,
    watching: Watching,
}

impl Control {
    /// The core over its parts.
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
            recorder: Recorder::new(
                store.clone(),
                node.clone(),
                clock.clone(),
                settings.node,
                Pace::default(),
            ),
            hasher: Hasher::new(),
            sign_ins: Limiter::new(5, 60_000),
            sign_ups: Limiter::new(settings.sign_ups_per_hour, 3_600_000),
            changes: Limiter::new(CHANGES_PER_MINUTE, 60_000),
            lock_outs: Limiter::new(1, 600_000),
            watching: Watching::default(),
            store,
            node,
            clock,
            entropy,
            settings,
        }))
    }

    /// Reads and stores statistics, measures what tenants cost, writes the event
    /// log, and drops what has expired, until dropped. One of these runs beside
    /// the server.
    pub async fn run(&self) {
        let housekeeping = async {
            let mut hours = tokio::time::interval(std::time::Duration::from_secs(3600));
            loop {
                hours.tick().await;
                self.tidy().await;
            }
        };
        tokio::join!(
            self.0.meter.run(),
            self.0.capacity.run(),
            self.0.recorder.run(),
            housekeeping
        );
    }

    /// Drops tickets, old events and old audit entries that nobody can ask for
    /// any more.
    async fn tidy(&self) {
        const DAY: i64 = 86_400_000;
        /// What somebody did is kept for a year.
        const AUDIT_MILLIS: i64 = 365 * DAY;
        /// What happened, for a quarter.
        const EVENTS_MILLIS: i64 = 90 * DAY;
        let now = self.0.clock.now();
        if let Err(e) = self.0.store.prune_tickets(now).await {
            tracing::warn!(error = ?e, "expired tickets could not be removed");
        }
        let until = now.plus_millis(-AUDIT_MILLIS);
        if let Err(e) = self.0.store.prune_audit(until).await {
            tracing::warn!(error = ?e, "old audit entries could not be removed");
        }
        let until = now.plus_millis(-EVENTS_MILLIS);
        if let Err(e) = self.0.store.prune_events(until).await {
            tracing::warn!(error = ?e, "old events could not be removed");
        }
    }
}
