//! The implementation of the port: reads and writes the tables with `nft`.
//!
//! Reading an unchanged ruleset starts no process: the kernel's generation number
//! shows whether anything changed since the last snapshot. A change is one run of
//! `nft`; if it was the only change since the snapshot, the new state is computed
//! instead of read.

use crate::{
    command::explain,
    dump,
    elements::{Difference, Elements},
    forward_accept::{ForwardAccept, is_legacy},
    listing::Listing,
    model::TABLE,
    neighbours::neighbours,
    netlink::{changes, generation},
    rules::Ruleset,
    settings::FirewallSettings,
};
use async_trait::async_trait;
use domain::{ErrorCode, Failure, Message};
use futures_util::stream::BoxStream;
use hostfs::{OwnPids, run};
use provisioning::{
    observed::{ObservedFirewall, ObservedFirewallTenant},
    ports::{Firewall, FirewallChange, PortError, PortResult},
};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex, OnceCell};

/// The firewall of this host, or of the network namespace of this process.
#[derive(Debug)]
pub struct Nft {
    current: StdMutex<Current>,
    own: OwnPids,
    /// The last snapshot. Its lock also serialises readings and changes.
    last: Mutex<Option<Snapshot>>,
    legacy: OnceCell<bool>,
}

/// The settings with the host's neighbours of IPv6, and their rules.
#[derive(Debug)]
struct Current {
    settings: FirewallSettings,
    rules: Arc<Ruleset>,
}

/// Locks a mutex whose value is valid after any panic.
fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What [`Nft::ensure_base`] found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseTable {
    /// There was no complete table of ours: now there is one, without tenants.
    Created,
    /// Our table was complete already; nothing was changed.
    Present,
    /// A table with tenants is in force that is not exactly ours: of another version
    /// or with other settings, or changed by another program. It was left to the
    /// server, which replaces it without a moment in which tenants have none.
    LeftToServer,
}

/// The state of the tables at a generation of the ruleset.
#[derive(Debug)]
struct Snapshot {
    generation: u32,
    /// Whether all tables have exactly the chains and rules of this version.
    rules_match: bool,
    /// Whether other programs' filters let tenants' packets pass.
    packets_pass: bool,
    elements: Elements,
}

impl Snapshot {
    fn observed(&self) -> ObservedFirewall {
        ObservedFirewall {
            complete: self.rules_match && self.packets_pass,
            tenants: self.elements.tenants(),
            forwards: self.elements.forwards(),
        }
    }
}

impl Nft {
    /// Creates the firewall with these settings. It does not change anything yet.
    ///
    /// # Errors
    /// `BadConfiguration` for invalid ranges, limits or an invalid bridge name.
    pub fn new(settings: FirewallSettings) -> Result<Self, Failure> {
        settings.check()?;
        Ok(Self {
            current: StdMutex::new(Current {
                rules: Arc::new(Ruleset::new(&settings)),
                settings,
            }),
            own: OwnPids::default(),
            last: Mutex::default(),
            legacy: OnceCell::new(),
        })
    }

    fn rules(&self) -> Arc<Ruleset> {
        lock(&self.current).rules.clone()
    }

    /// Makes the rules again if the host has other neighbours of IPv6. Returns whether they
    /// are others.
    fn follow_neighbours(&self) -> bool {
        let found = neighbours();
        let mut current = lock(&self.current);
        if current.settings.neighbours6 == found {
            return false;
        }
        current.settings.neighbours6 = found;
        current.rules = Arc::new(Ruleset::new(&current.settings));
        true
    }

    /// Puts the tables in force without tenants, unless they are in force or have
    /// tenants: containers then reach nothing private, and nothing passes a tunnel.
    /// For the time at a boot before Docker and the server have started.
    ///
    /// # Errors
    /// `FirewallUnavailable`.
    pub async fn ensure_base(&self) -> PortResult<BaseTable> {
        let mut last = self.last.lock().await;
        self.follow_neighbours();
        let now = self.read().await?;
        if now.rules_match {
            return Ok(BaseTable::Present);
        }
        if !now.elements.0.is_empty() {
            return Ok(BaseTable::LeftToServer);
        }
        *last = None;
        let base = self.rules().rebuild(&Elements::default());
        self.transaction(&base).await?;
        Ok(BaseTable::Created)
    }

    async fn transaction(&self, text: &str) -> PortResult<()> {
        run("nft", &["-f", "-"], text, &self.own)
            .await
            .map(drop)
            .map_err(explain)
    }

    /// Lists a table; the listing is empty if there is no such table.
    async fn list(&self, family: &str) -> PortResult<Listing> {
        let args = ["-j", "list", "table", family, TABLE];
        match run("nft", &args, "", &self.own).await {
            Ok(json) => Listing::parse(&json).map_err(|e| {
                let message = Message::FirewallListingUnreadable;
                PortError::because(ErrorCode::FirewallUnavailable, message, e)
            }),
            Err(e) if e.is_not_found() => Ok(Listing::default()),
            Err(e) => Err(explain(e)),
        }
    }

    async fn is_legacy(&self) -> bool {
        *self.legacy.get_or_init(|| is_legacy(&self.own)).await
    }

    /// Reads the complete state.
    async fn read(&self) -> PortResult<Snapshot> {
        // One nft could list both tables, but version 1.0.6 confuses families then.
        let (inet, bridge, forward, _) = tokio::join!(
            self.list("inet"),
            self.list("bridge"),
            ForwardAccept::both_let_packets_pass(&self.own),
            // This runs once; the next readings need the result.
            self.is_legacy(),
        );
        let (inet, bridge) = (inet?, bridge?);
        let rules = self.rules();
        let limits = dump::limits().map_err(|e| {
            let message = Message::FirewallListingUnreadable;
            PortError::because(ErrorCode::FirewallUnavailable, message, e)
        })?;
        Ok(Snapshot {
            generation: 0,
            rules_match: inet.matches(&rules.inet, &rules.version)
                && inet.elements.are_forwards_whole()
                && inet.elements.are_prefixes_whole()
                && limits.matches(&rules.limits, &rules.version)
                && bridge.matches(&rules.bridge, &rules.version)
                && bridge.has_pairs(&rules.pairs),
            packets_pass: forward,
            elements: Elements(
                inet.elements
                    .0
                    .into_iter()
                    .chain(limits.elements.0)
                    .collect(),
            ),
        })
    }
}

#[async_trait]
impl Firewall for Nft {
    async fn observe(&self) -> PortResult<ObservedFirewall> {
        let mut last = self.last.lock().await;
        if self.follow_neighbours() {
            *last = None;
        }
        let before = generation();
        if let Some(snapshot) = last.as_mut()
            && Some(snapshot.generation) == before
        {
            if self.is_legacy().await {
                snapshot.packets_pass = ForwardAccept::both_let_packets_pass(&self.own).await;
            }
            return Ok(snapshot.observed());
        }
        *last = None;
        let mut snapshot = self.read().await?;
        let observed = snapshot.observed();
        // The snapshot is stored only if nothing changed during the reading.
        if let Some(generation) = before.filter(|&g| generation() == Some(g)) {
            snapshot.generation = generation;
            *last = Some(snapshot);
        }
        Ok(observed)
    }

    async fn apply(&self, change: &FirewallChange) -> PortResult<()> {
        if change.is_empty() {
            return Ok(());
        }
        let mut last = self.last.lock().await;
        let mut wanted = Elements::default();
        for (_, tenant) in &change.set {
            wanted.extend(tenant.slot, &ObservedFirewallTenant::from_spec(tenant));
        }
        wanted.forward(&change.forwards.to);
        if change.rebuild {
            *last = None;
            self.follow_neighbours();
            self.transaction(&self.rules().rebuild(&wanted)).await?;
            let ensured = ForwardAccept::ensure(&self.own).await;
            return ensured.map_err(explain);
        }
        let mut current = Elements::of(&change.remove);
        for (observed, tenant) in &change.set {
            current.extend(tenant.slot, observed);
        }
        current.forward(&change.forwards.from);
        let difference = Difference::between(&current, &wanted);
        if difference.is_empty() {
            return Ok(());
        }
        let snapshot = last.take();
        let before = generation();
        self.transaction(&difference.commands()).await?;
        // If ours was the only change since the snapshot, the new state is known.
        if let (Some(mut snapshot), Some(now)) = (snapshot, generation())
            && Some(snapshot.generation) == before
            && snapshot.generation.checked_add(1) == Some(now)
        {
            difference.apply(&mut snapshot.elements);
            snapshot.generation = now;
            *last = Some(snapshot);
        }
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, ()> {
        changes(self.own.clone())
    }
}
