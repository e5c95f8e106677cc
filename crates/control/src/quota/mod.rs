//! Quotas: plans that hold by themselves.
//!
//! After each recorded reading, the tenants whose bytes have changed are looked at; the
//! store decides and stores what follows ([`store::Store::settle_quotas`]), and the
//! node is nudged. Where a month ends for a tenant who was warned, slowed or stopped, a
//! timer does the same. What was missed (a crash between a reading and its settling, a
//! change by the command line, a restored database) is found by reading all quotas, at
//! the start and every minute.
//!
//! A tenant near its limit is read sooner than every 10 s ([`reading_interval`]), so that what
//! passes above the limit stays below 1 % of it.

mod reading_interval;

use crate::watch::TenantNotifier;
use domain::{Clock, NodeId, QuotaState, TenantId, Timestamp};
use protocol::Nodes;
use reading_interval::{MeasuredSpeed, REGULAR_INTERVAL};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{QuotaChange, QuotaUse, Store, StoreError};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How often all quotas are read.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
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

/// Keeps the quotas of all tenants.
pub(crate) struct Quotas {
    store: Store,
    nodes: Arc<dyn Nodes>,
    clock: Arc<dyn Clock>,
    notifier: Arc<TenantNotifier>,
    known: Mutex<HashMap<TenantId, Known>>,
    /// Notified when all quotas should be read again.
    stale: Notify,
    /// When the nodes should be read, if before the regular reading.
    next_reading: watch::Sender<Option<Instant>>,
}

impl Quotas {
    pub(crate) fn new(
        store: Store,
        nodes: Arc<dyn Nodes>,
        clock: Arc<dyn Clock>,
        notifier: Arc<TenantNotifier>,
    ) -> Self {
        Self {
            store,
            nodes,
            clock,
            notifier,
            known: Mutex::default(),
            stale: Notify::new(),
            next_reading: watch::Sender::new(None),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<TenantId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles what is due at the start, every minute and at the end of each month,
    /// until the future is dropped.
    pub(crate) async fn run(&self) {
        loop {
            if let Err(e) = self.refresh().await {
                tracing::warn!(error = ?e, "the quotas could not be read; it is tried again");
                tokio::time::sleep(RETRY_INTERVAL).await;
                continue;
            }
            tokio::select! {
                () = self.stale.notified() => {}
                () = tokio::time::sleep(REFRESH_INTERVAL) => {}
                () = self.month_ends() => {}
            }
        }
    }

    /// Lets [`Quotas::run`] read all quotas again: plans or tenants have changed.
    pub(crate) fn forget_all(&self) {
        self.stale.notify_one();
    }

    /// Reads all quotas and settles those that are due.
    async fn refresh(&self) -> Result<(), StoreError> {
        let mut known = HashMap::new();
        let mut result = Ok(());
        // Of workers that are away too: a month ends for their tenants all the same.
        for node in self.store.nodes().await?.into_iter().map(|n| n.id) {
            let now = self.clock.now();
            match self.store.quotas(node, now).await {
                Ok(mut quotas) => {
                    self.settle(node, &mut quotas, now).await;
                    let before = self.known();
                    known.extend(quotas.into_iter().map(|quota| {
                        let speed = before.get(&quota.tenant).map(|k| k.speed);
                        let speed = speed.unwrap_or_default();
                        (quota.tenant, Known { quota, speed })
                    }));
                }
                // A node that the database does not know yet has no tenants.
                Err(StoreError::NotFound) => {}
                Err(e) => result = Err(e),
            }
        }
        if result.is_ok() {
            *self.known() = known;
            self.arm(Duration::ZERO);
        }
        result
    }

    /// Waits until the month of a tenant ends that was warned, slowed or stopped.
    async fn month_ends(&self) {
        let next = {
            let known = self.known();
            let ends = known.values().filter(|k| k.quota.state != QuotaState::Open);
            ends.map(|k| k.quota.period_end).min()
        };
        let Some(next) = next else {
            return std::future::pending().await;
        };
        loop {
            let left = next.millis_since(self.clock.now()).unsigned_abs();
            if left == 0 {
                return;
            }
            tokio::time::sleep(CLOCK_INTERVAL.min(Duration::from_millis(left))).await;
        }
    }

    /// Settles quotas after a reading in which their bytes have changed.
    pub(crate) async fn recorded(&self, node: NodeId, mut quotas: Vec<QuotaUse>, now: Timestamp) {
        self.settle(node, &mut quotas, now).await;
        let at = Instant::now();
        let mut has_new_end = false;
        let mut known = self.known();
        for quota in quotas {
            let before = known.get(&quota.tenant);
            let mut speed = before.map(|k| k.speed).unwrap_or_default();
            speed.measure(quota.used_bytes, at);
            has_new_end |= before.is_none_or(|k| k.quota.state != quota.state);
            known.insert(quota.tenant, Known { quota, speed });
        }
        drop(known);
        if has_new_end {
            // The timer waits for the end of another month.
            self.forget_all();
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

    /// Returns whether a tenant's data may be limited.
    pub(crate) fn may_have_limit(&self, tenant: TenantId) -> bool {
        let known = self.known();
        known
            .get(&tenant)
            .is_none_or(|k| k.quota.limit_bytes.is_some())
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
            let open = known.values().filter(|k| !k.quota.state.is_used_up());
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
