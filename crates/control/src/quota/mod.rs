//! Quotas: plans that hold by themselves.
//!
//! After each recorded reading, the tenants whose bytes have changed are looked at; the
//! store decides and stores what follows ([`store::Store::settle_quotas`]), and the
//! node is nudged. Where a month ends for a tenant who was warned, slowed or stopped, a
//! timer does the same. What was missed (a crash between a reading and its settling, a
//! change by the command line, a restored database) is found by reading the quotas near
//! their limit, at the start and every minute, and all of them every hour. Of several control planes each does that for the nodes that
//! are its own ([`Leases`]); two that settle at once settle once.
//!
//! A tenant near its limit is read sooner than every 10 s ([`reading_interval`]), so that what
//! passes above the limit stays below 1 % of it.

mod reading_interval;

use crate::{control_planes::Leases, watch::TenantNotifier};
use domain::{Clock, NodeId, QuotaState, TenantId, Timestamp};
use protocol::Nodes;
use reading_interval::{MeasuredSpeed, REGULAR_INTERVAL};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{QuotaChange, QuotaUse, Store, StoreError};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How often the quotas near their limit are read.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
/// How often all are. It differs between nodes, so that they are not read at the same time.
const FULL_INTERVAL: Duration = Duration::from_secs(3_600);
/// How long a tenant counts as fast after it was measured so.
const FAST_FOR: Duration = Duration::from_secs(30);
/// How often that is tried while the database is away.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How often the clock is compared with the end of the next month. It may be set.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of a tenant's quota.
#[derive(Clone, Debug)]
struct Known {
    quota: QuotaUse,
    speed: MeasuredSpeed,
}

impl Known {
    /// Returns whether the tenant has a limit that it cannot reach before all quotas are
    /// read again. Then it need not be known: there may be 200,000 tenants.
    fn is_far_from_limit(&self, now: Instant) -> bool {
        let interval = self.speed.interval(&self.quota, now);
        self.quota.state == QuotaState::Open && interval.is_some_and(|i| i > 2 * REFRESH_INTERVAL)
    }
}

/// The quotas of the tenants of each node, but for those that are far from their limit.
type KnownNodes = HashMap<NodeId, HashMap<TenantId, Known>>;

/// What should be read again.
#[derive(Debug, Default)]
struct Stale {
    all: bool,
    nodes: BTreeSet<NodeId>,
}

/// Keeps the quotas of all tenants.
pub(crate) struct Quotas {
    store: Store,
    nodes: Arc<dyn Nodes>,
    clock: Arc<dyn Clock>,
    notifier: Arc<TenantNotifier>,
    leases: Arc<Leases>,
    /// The quotas of the nodes that are this control plane's.
    known: Mutex<KnownNodes>,
    /// When all quotas of a node were read last.
    read_fully: Mutex<HashMap<NodeId, Instant>>,
    stale: Mutex<Stale>,
    /// Notified when there is something to read again.
    due: Notify,
    /// When the nodes should be read, if before the regular reading.
    next_reading: watch::Sender<Option<Instant>>,
}

impl Quotas {
    pub(crate) fn new(
        store: Store,
        nodes: Arc<dyn Nodes>,
        clock: Arc<dyn Clock>,
        notifier: Arc<TenantNotifier>,
        leases: Arc<Leases>,
    ) -> Self {
        Self {
            store,
            nodes,
            clock,
            notifier,
            leases,
            known: Mutex::default(),
            read_fully: Mutex::default(),
            stale: Mutex::default(),
            due: Notify::new(),
            next_reading: watch::Sender::new(None),
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownNodes> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stale(&self) -> MutexGuard<'_, Stale> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles what is due at the start, every minute and at the end of each month,
    /// until the future is dropped.
    pub(crate) async fn run(&self) {
        let mut renewals = self.leases.renewals();
        let mut own = self.own_heard();
        self.stale().all = true;
        loop {
            if let Err(e) = self.refresh_stale().await {
                tracing::warn!(error = ?e, "the quotas could not be read; it is tried again");
                self.stale().all = true;
                tokio::time::sleep(RETRY_INTERVAL).await;
                continue;
            }
            tokio::select! {
                () = self.due.notified() => {}
                () = tokio::time::sleep(REFRESH_INTERVAL) => self.stale().all = true,
                () = self.month_ends() => {}
                () = self.own_changes(&mut renewals, &mut own) => {}
            }
        }
    }

    /// Returns the nodes that this control plane hears and that are its own.
    fn own_heard(&self) -> BTreeSet<NodeId> {
        let heard = self.nodes.ids().into_iter();
        heard.filter(|node| self.leases.is_own(*node)).collect()
    }

    /// Waits until a further node is this control plane's. Its quotas are to be read then:
    /// after a start the nodes come one after another.
    async fn own_changes(&self, renewals: &mut watch::Receiver<u64>, own: &mut BTreeSet<NodeId>) {
        loop {
            if renewals.changed().await.is_err() {
                return std::future::pending().await;
            }
            let now = self.own_heard();
            let more: Vec<_> = now.difference(own).copied().collect();
            *own = now;
            if !more.is_empty() {
                self.stale().nodes.extend(more);
                return;
            }
        }
    }

    /// Lets [`Quotas::run`] read all quotas again: plans have changed.
    pub(crate) fn forget_all(&self) {
        self.stale().all = true;
        self.due.notify_one();
    }

    /// Lets [`Quotas::run`] read the quotas of a node again: a tenant there has changed.
    /// Where that is another control plane's, it finds it with its next reading.
    pub(crate) fn forget(&self, node: NodeId) {
        self.stale().nodes.insert(node);
        self.due.notify_one();
    }

    /// Reads what is stale and settles what is due of it.
    async fn refresh_stale(&self) -> Result<(), StoreError> {
        let Stale { all, nodes } = std::mem::take(&mut *self.stale());
        let nodes = match all {
            // Of workers that are away too: a month ends for their tenants all the same.
            true => self
                .store
                .nodes()
                .await?
                .into_iter()
                .map(|n| n.id)
                .collect(),
            false => nodes,
        };
        let is_own = |node: &NodeId| self.leases.is_own(*node);
        let nodes: BTreeSet<_> = nodes.into_iter().filter(is_own).collect();
        let mut result = Ok(());
        for node in &nodes {
            match self.refresh(*node).await {
                // A node that the database does not know yet has no tenants.
                Ok(()) | Err(StoreError::NotFound) => {}
                Err(e) => result = Err(e),
            }
        }
        if all {
            self.known().retain(|node, _| nodes.contains(node));
            let mut read = self
                .read_fully
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            read.retain(|node, _| nodes.contains(node));
        }
        self.arm(Duration::ZERO);
        result
    }

    /// Returns the quotas of a node that have to be known.
    async fn read(&self, node: NodeId, now: Timestamp) -> Result<Vec<QuotaUse>, StoreError> {
        let lock = || {
            self.read_fully
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        // 0 to 29 minutes.
        let spread = Duration::from_secs(60 * node.0.unsigned_abs().wrapping_rem(30));
        let last = lock().get(&node).copied();
        if last.is_some_and(|at| at.elapsed() < FULL_INTERVAL + spread) {
            let seconds = u32::try_from(2 * REFRESH_INTERVAL.as_secs()).unwrap_or(u32::MAX);
            return self.store.quotas_near_limit(node, seconds, now).await;
        }
        let quotas = self.store.quotas(node, now).await?;
        lock().insert(node, Instant::now());
        Ok(quotas)
    }

    /// Reads the quotas of a node and settles those that are due.
    async fn refresh(&self, node: NodeId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut quotas = self.read(node, now).await?;
        self.settle(node, &mut quotas, now).await;
        let mut known = self.known();
        let known = known.entry(node).or_default();
        let before = std::mem::take(known);
        let at = Instant::now();
        // Faster than the reading supposes of a tenant whose plan has no speed.
        let is_fast = |k: &Known| k.speed.is_recent(at, FAST_FOR) && !k.is_far_from_limit(at);
        let fast = before.iter().filter(|(_, k)| is_fast(k));
        known.extend(fast.map(|(tenant, k)| (*tenant, k.clone())));
        let all = quotas.into_iter().map(|quota| {
            let speed = before.get(&quota.tenant).map(|k| k.speed);
            let speed = speed.unwrap_or_default();
            (quota.tenant, Known { quota, speed })
        });
        known.extend(all.filter(|(_, known)| !known.is_far_from_limit(at)));
        Ok(())
    }

    /// Waits until the month of a tenant ends that was warned, slowed or stopped. Its node
    /// is to be read again then.
    async fn month_ends(&self) {
        let next = {
            let known = self.known();
            let all = known.values().flat_map(HashMap::values);
            let ends = all.filter(|k| k.quota.state != QuotaState::Open);
            ends.map(|k| k.quota.period_end).min()
        };
        let Some(next) = next else {
            return std::future::pending().await;
        };
        loop {
            let now = self.clock.now();
            let left = next.millis_since(now);
            if left == 0 {
                let has_ended = |k: &Known| k.quota.period_end <= now;
                let known = self.known();
                let ended = known
                    .iter()
                    .filter(|(_, tenants)| tenants.values().any(has_ended));
                let nodes: Vec<_> = ended.map(|(node, _)| *node).collect();
                drop(known);
                self.stale().nodes.extend(nodes);
                return;
            }
            let left = Duration::from_millis(left.unsigned_abs());
            tokio::time::sleep(CLOCK_INTERVAL.min(left)).await;
        }
    }

    /// Settles quotas after a reading in which their bytes have changed.
    pub(crate) async fn recorded(&self, node: NodeId, mut quotas: Vec<QuotaUse>, now: Timestamp) {
        self.settle(node, &mut quotas, now).await;
        let at = Instant::now();
        let mut has_new_end = false;
        let mut known = self.known();
        let of_node = known.entry(node).or_default();
        for quota in quotas {
            let before = of_node.get(&quota.tenant);
            let mut speed = before.map(|k| k.speed).unwrap_or_default();
            speed.measure(quota.used_bytes, at);
            has_new_end |= before.map_or(QuotaState::Open, |k| k.quota.state) != quota.state;
            of_node.insert(quota.tenant, Known { quota, speed });
        }
        drop(known);
        if has_new_end {
            // The timer waits for the end of another month.
            self.forget(node);
        }
    }

    /// Settles those that are due, and notes the new states in them.
    async fn settle(&self, node: NodeId, quotas: &mut [QuotaUse], now: Timestamp) {
        let due = quotas.iter().filter(|q| q.is_due());
        let due: Vec<TenantId> = due.map(|q| q.tenant).collect();
        if due.is_empty() {
            return;
        }
        match self.store.settle_quotas(node, &due, now).await {
            Ok(changes) => {
                for quota in quotas.iter_mut().filter(|q| q.is_due()) {
                    let change = changes.iter().find(|c| c.tenant == quota.tenant);
                    quota.state = change.map_or(quota.state, |c| c.after);
                }
                let is_in_spec = |c: &QuotaChange| c.before.is_used_up() || c.after.is_used_up();
                if changes.iter().any(is_in_spec) {
                    self.nodes.nudge(node);
                }
                self.announce(&changes);
            }
            // The next reading, or the next minute, finds them again.
            Err(e) => tracing::warn!(error = ?e, "quotas could not be settled; it is tried again"),
        }
    }

    /// Tells the pages of these tenants to read again what they show.
    pub(crate) fn announce(&self, changes: &[QuotaChange]) {
        for change in changes {
            let (before, after) = (change.before, change.after);
            tracing::info!(tenant = %change.name, %before, %after, "a quota's state has changed");
            self.notifier.changed(change.tenant);
        }
    }

    /// Returns whether a tenant's data may be limited, also where another control plane
    /// knows it, or where it is far from its limit.
    pub(crate) fn may_have_limit(&self, node: NodeId, tenant: TenantId) -> bool {
        let known = self.known();
        let known = known.get(&node).and_then(|tenants| tenants.get(&tenant));
        known.is_none_or(|k| k.quota.limit_bytes.is_some())
    }

    /// Returns the time to the next reading, where a request waits for it and the last
    /// one took so long: only the share of the time that readings take is bounded.
    pub(crate) fn pause_after(&self, took: Duration) -> Duration {
        reading_interval::pause(took)
    }

    /// Computes when the nodes have to be read next. A reading took so long.
    pub(crate) fn arm(&self, took: Duration) {
        let nearest = {
            let now = Instant::now();
            let known = self.known();
            let own = known.iter().filter(|(node, _)| self.leases.holds(**node));
            let all = own.flat_map(|(_, tenants)| tenants.values());
            let open = all.filter(|k| !k.quota.state.is_used_up());
            open.filter_map(|k| k.speed.interval(&k.quota, now)).min()
        };
        let sooner = nearest.filter(|interval| *interval < REGULAR_INTERVAL);
        let at = sooner.map(|interval| Instant::now() + reading_interval::bounded(interval, took));
        self.next_reading.send_replace(at);
    }

    /// Waits until the nodes have to be read before the regular reading. Then there is no
    /// such time until [`Quotas::arm`] computes another one.
    pub(crate) async fn reading_is_due(&self) {
        let mut changes = self.next_reading.subscribe();
        loop {
            let at = *changes.borrow_and_update();
            tokio::select! {
                () = until(at) => {
                    self.next_reading.send_replace(None);
                    return;
                }
                changed = changes.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                }
            }
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
