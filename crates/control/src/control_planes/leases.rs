//! Who does the regular work of each node, and the work that there is once.
//!
//! There is a lease for each node that a control plane hears (`node/17`): its holder counts
//! the node's traffic and writes its events. The holder of the lease `jobs` does the same
//! for nodes that no control plane hears, and removes what is old. A lease is renewed every
//! 5 s and ends 15 s after the last renewal, so another control plane goes on soon after one
//! has died, and at once after one has ended in order. A node that a control plane does not
//! hear it does not take, so that the one that hears it can.
//!
//! With SQLite there is one control plane, which holds everything.

use super::SharedClock;
use crate::parts::ControlSettings;
use domain::NodeId;
use protocol::Nodes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{ControlPlaneRecord, LeaseEpoch, Store, StoreError};
use tokio::{sync::watch, time::Instant};

/// How long a lease lasts without a renewal.
const TTL: Duration = Duration::from_secs(15);
/// How often leases are renewed.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(5);
/// How long a former holder may have taken to write what it met with.
const WRITE_TIME: Duration = Duration::from_secs(1);
/// The lease of the work that there is once.
const JOBS: &str = "jobs";

fn lease_of(node: NodeId) -> String {
    format!("node/{node}")
}

/// Who does the regular work of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// This control plane. `since` is when the former one was surely at work last; `None`
    /// is since ever.
    Own { since: Option<Instant> },
    /// Another one.
    Other,
    /// Not known, while the database does not answer, or none yet.
    Unknown,
}

/// A lease of this control plane.
#[derive(Clone, Copy, Debug)]
struct OwnLease {
    until: Instant,
    since: Option<Instant>,
}

/// What was read last.
#[derive(Debug, Default)]
struct KnownLeases {
    control_planes: Vec<ControlPlaneRecord>,
    held: BTreeMap<String, OwnLease>,
    /// Leases that others hold.
    others: BTreeSet<String>,
    read_at: Option<Instant>,
}

impl KnownLeases {
    fn held(&self, name: &str) -> Option<OwnLease> {
        let held = self.held.get(name).copied();
        held.filter(|held| held.until > Instant::now())
    }

    fn is_others(&self, name: &str) -> bool {
        let is_fresh = self.read_at.is_some_and(|at| at.elapsed() < TTL);
        is_fresh && self.others.contains(name)
    }
}

/// The leases of this control plane.
pub(crate) struct Leases {
    store: Store,
    nodes: Arc<dyn Nodes>,
    clock: Arc<SharedClock>,
    id: String,
    address: Option<String>,
    has_node: bool,
    known: Mutex<KnownLeases>,
    /// Whether this control plane has left. Locked while leases are renewed.
    has_left: tokio::sync::Mutex<bool>,
    renewals: watch::Sender<u64>,
}

impl Leases {
    pub(crate) fn new(
        store: Store,
        nodes: Arc<dyn Nodes>,
        clock: Arc<SharedClock>,
        settings: &ControlSettings,
    ) -> Self {
        Self {
            store,
            nodes,
            clock,
            id: settings.control_plane.clone(),
            address: settings.address.clone(),
            has_node: settings.local.is_some(),
            known: Mutex::default(),
            has_left: tokio::sync::Mutex::default(),
            renewals: watch::Sender::new(0),
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownLeases> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether this control plane counts a node's traffic. One that was stopped may
    /// believe it for a moment too long.
    pub(crate) fn holds(&self, node: NodeId) -> bool {
        self.store.is_sqlite() || self.known().held(&lease_of(node)).is_some()
    }

    /// Returns whether this control plane does the work that there is once.
    pub(crate) fn holds_jobs(&self) -> bool {
        self.store.is_sqlite() || self.known().held(JOBS).is_some()
    }

    /// Returns who does the regular work of a node, heard or not.
    pub(crate) fn side(&self, node: NodeId) -> Side {
        if self.store.is_sqlite() {
            return Side::Own { since: None };
        }
        let is_heard = self.nodes.ids().contains(&node);
        let known = self.known();
        let lease = lease_of(node);
        if let Some(OwnLease { since, .. }) = known.held(&lease) {
            return Side::Own { since };
        }
        if known.is_others(&lease) {
            return Side::Other;
        }
        match (is_heard, known.held(JOBS)) {
            // Its lease is taken with the next renewal.
            (true, _) => Side::Unknown,
            (false, Some(OwnLease { since, .. })) => Side::Own { since },
            (false, None) if known.is_others(JOBS) => Side::Other,
            (false, None) => Side::Unknown,
        }
    }

    /// Returns whether the regular work of a node is this control plane's.
    pub(crate) fn is_own(&self, node: NodeId) -> bool {
        matches!(self.side(node), Side::Own { .. })
    }

    /// Returns the control planes that were heard lately, by id; before any was read, this
    /// one.
    pub(crate) fn control_planes(&self) -> Vec<ControlPlaneRecord> {
        let known = self.known().control_planes.clone();
        match known.is_empty() {
            false => known,
            true => vec![ControlPlaneRecord {
                id: self.id.clone(),
                address: self.address.clone(),
                has_node: self.has_node,
                silent_millis: 0,
            }],
        }
    }

    /// Returns a receiver that notices every renewal, whatever has changed.
    pub(crate) fn renewals(&self) -> watch::Receiver<u64> {
        self.renewals.subscribe()
    }

    /// Waits until this control plane does the work that there is once.
    pub(crate) async fn jobs_are_held(&self) {
        let mut renewals = self.renewals();
        while !self.holds_jobs() {
            if renewals.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Renews the leases until the future is dropped.
    pub(crate) async fn run(&self) {
        let mut ticks = tokio::time::interval(RENEWAL_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_first_failure = true;
        loop {
            ticks.tick().await;
            match tokio::time::timeout(RENEWAL_INTERVAL, self.renew()).await {
                Ok(Ok(())) => is_first_failure = true,
                Ok(Err(error)) if std::mem::take(&mut is_first_failure) => {
                    tracing::warn!(?error, "the leases cannot be renewed; it is tried again");
                }
                Ok(Err(_)) => {}
                Err(_) if std::mem::take(&mut is_first_failure) => {
                    tracing::warn!("the leases cannot be renewed in time; it is tried again");
                }
                Err(_) => {}
            }
            self.renewals.send_modify(|n| *n = n.wrapping_add(1));
        }
    }

    /// Notes that this control plane is there, and takes or renews the leases of all nodes
    /// that it hears.
    pub(crate) async fn renew(&self) -> Result<(), StoreError> {
        let has_left = self.has_left.lock().await;
        if *has_left {
            return Ok(());
        }
        let asked = self.clock.own();
        if let Some(database) = self.store.database_time().await? {
            self.clock.compare(asked, database, self.clock.own());
        }
        let address = self.address.as_deref();
        let noted = self
            .store
            .note_control_plane(&self.id, address, self.has_node);
        let control_planes = noted.await?;
        let nodes = self.nodes.ids().into_iter().map(lease_of);
        let names: Vec<_> = nodes.chain([JOBS.to_owned()]).collect();
        let begun = Instant::now();
        let held = self.store.leases(&names, &self.id, TTL).await?;
        let holders = self.store.lease_holders().await?.into_iter();
        let others = holders.filter(|(_, holder)| *holder != self.id);
        let mut known = self.known();
        let before = std::mem::take(&mut *known);
        let renewed = |(name, epoch): (String, LeaseEpoch)| {
            let unattended = epoch.unattended.map(|time| time + WRITE_TIME);
            let held = OwnLease {
                until: begun + TTL,
                since: match before.held(&name) {
                    Some(held) => held.since,
                    None => unattended.and_then(|time| begun.checked_sub(time)),
                },
            };
            (name, held)
        };
        *known = KnownLeases {
            control_planes,
            held: held.into_iter().map(renewed).collect(),
            others: others.map(|(name, _)| name).collect(),
            read_at: Some(Instant::now()),
        };
        Ok(())
    }

    /// Gives all leases back and removes this control plane from those that are heard. None
    /// is taken after that.
    ///
    /// # Errors
    /// Returns the database's error. The leases end by themselves then.
    pub(crate) async fn leave(&self) -> Result<(), StoreError> {
        let mut has_left = self.has_left.lock().await;
        *has_left = true;
        self.known().held.clear();
        self.store.remove_control_plane(&self.id).await
    }
}
