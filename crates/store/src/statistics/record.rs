//! Records readings.

use super::{
    peer_index::NodePeers,
    rollup::PendingRows,
    sample::StatSample,
    series::month_bytes,
    traffic_codec::{DeviceCounters, SUM_COUNT, TenantCounters, Traffic, UNREPORTED},
};
use crate::{
    LOCAL_NODE, PeriodUse, QuotaUse, Result, Store,
    db::{Either, Tx, batch, fetch_all, unsigned},
    nodes::generation_in,
    quota::{self, LimitRow, limit_columns},
};
use domain::{NodeId, Timestamp};
use protocol::ReadingOrder;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

/// How often a tenant's devices get rows in `bandwidth_stats` …
const REPORT_INTERVAL_MILLIS: i64 = 6 * 3_600_000;
/// … and how many tenants get them with one reading.
const REPORTED_TENANTS: usize = 10;

pub(super) const PEERS_OF_NODE: &str = "SELECT peers.public_key, peers.user_id, peers.id \
     FROM users JOIN peers ON peers.user_id = users.id WHERE users.node_id = $1";
pub(super) const TENANTS_WITH: &str = "SELECT DISTINCT user_id FROM peers WHERE public_key IN";
pub(super) const PEERS_OF_TENANTS: &str = "SELECT peers.public_key, peers.user_id, peers.id \
     FROM users JOIN peers ON peers.user_id = users.id WHERE users.id IN";
const EXISTING_TENANTS: &str = concat!(
    "SELECT ",
    limit_columns!(),
    " FROM users JOIN plans ON plans.id = users.plan"
);
pub(super) const TENANT_COUNTERS: &str = "SELECT user_id, counters, period_start, period_end, period_bytes \
     FROM tenant_traffic WHERE user_id IN";
pub(super) const INITIAL_COUNTERS: &str = "SELECT id, rx_total, tx_total, last_rx, last_tx, \
     last_handshake, endpoint FROM peers WHERE id IN";
pub(super) const EXISTING_PEERS: &str = "SELECT id FROM peers WHERE id IN";

/// The most readings of a worker whose peers are looked for one by one.
const MAX_BY_KEY: usize = 2000;

/// The readings of each peer of each tenant, by their ids.
type Readings<'a> = BTreeMap<i64, BTreeMap<i64, &'a StatSample>>;

/// What became of a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is stored. The quotas are of the tenants whose bytes have changed and whose plan
    /// has a limit.
    Stored(Vec<QuotaUse>),
    /// A newer reading of the node was stored before, and nothing of this one is.
    Outdated,
}

/// A tenant whose readings are recorded.
struct Tenant {
    counters: TenantCounters,
    limits: LimitRow,
    /// What was counted of a month; `None` before the first reading.
    counted: Option<PeriodUse>,
}

impl Store {
    /// Records readings of one node in one transaction. Peers that are not that
    /// node's (any more) are ignored; of two readings of one peer the last one
    /// counts. `taken` says when they were read; a reading that is not newer than what is
    /// stored of the node is not stored. Any control plane may record at any time.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`](crate::StoreError::NotFound) for an unknown
    /// node, or the database's error. The traffic is not lost then: the next
    /// readings of the same counters include it.
    pub async fn record_statistics(
        &self,
        node: NodeId,
        samples: &[StatSample],
        taken: Option<&ReadingOrder>,
        at: Timestamp,
    ) -> Result<Recorded> {
        let peers = match node == LOCAL_NODE || samples.len() > MAX_BY_KEY {
            true => self.current_peers(node).await?,
            false => self.peers_with(node, samples).await?,
        };
        let mut readings = Readings::new();
        for s in samples {
            if let Some((tenant, peer)) = peers.find(&s.public_key) {
                readings.entry(tenant).or_default().insert(peer, s);
            }
        }
        if readings.is_empty() {
            return Ok(Recorded::Stored(Vec::new()));
        }
        let mut tx = self.db.begin().await?;
        if !self.note_reading(&mut tx, node, taken).await? {
            return Ok(Recorded::Outdated);
        }
        let mut tenants = load_counters(&mut tx, node, readings.keys().copied().collect()).await?;
        take_over_months(&mut tx, &mut tenants, at).await?;
        add_new_devices(&mut tx, &mut tenants, &readings).await?;
        let mut rows = PendingRows::default();
        let (mut changed, mut quotas) = (Vec::new(), Vec::new());
        for (id, readings) in &readings {
            let Some(tenant) = tenants.get_mut(id) else {
                continue; // deleted or unreadable
            };
            let added = rows.apply(*id, &mut tenant.counters, readings, peers.ids(), at);
            let Some(bytes) = added else {
                continue;
            };
            changed.push(*id);
            quotas.extend(tenant.count(bytes, at));
        }
        report_bandwidth(&mut tx, &mut rows, &mut tenants, &changed, at).await?;
        for id in changed {
            if let Some(tenant) = tenants.get(&id) {
                rows.push_counters(id, &tenant.counters, tenant.counted);
            }
        }
        rows.write(&mut tx, at).await?;
        tx.commit().await?;
        Ok(Recorded::Stored(quotas))
    }

    /// Returns the node's peers. Reads them again if the node's generation has
    /// changed; those of other nodes are not read. This happens before the
    /// transaction of the reading: a device that is created or deleted meanwhile
    /// takes effect with the next reading.
    async fn current_peers(&self, node: NodeId) -> Result<Arc<NodePeers>> {
        let generation = self.generation(node).await?;
        let index = || {
            let locked = self.peer_index.lock();
            locked.unwrap_or_else(PoisonError::into_inner)
        };
        let known = index().of(node, generation);
        if let Some(peers) = known {
            return Ok(peers);
        }
        let rows = fetch_all!(self.db.reader(), (String, i64, i64), PEERS_OF_NODE, node.0)?;
        let peers = Arc::new(NodePeers::new(generation, rows));
        // A control plane has hundreds of other nodes.
        if node == LOCAL_NODE {
            index().insert(node, peers.clone());
        }
        Ok(peers)
    }

    /// Returns the peers of the tenants that have one of these. A worker reports those that
    /// have changed, which are few of a node's peers.
    async fn peers_with(&self, node: NodeId, samples: &[StatSample]) -> Result<Arc<NodePeers>> {
        let keys: Vec<String> = samples.iter().map(|s| s.public_key.to_string()).collect();
        let mut tx = self.db.snapshot().await?;
        let generation = generation_in(&mut tx, node).await?;
        let found: Vec<(i64,)> = batch::fetch_by_text(&mut tx, TENANTS_WITH, &keys).await?;
        let tenants: BTreeSet<i64> = found.into_iter().map(|(id,)| id).collect();
        let tenants: Vec<i64> = tenants.into_iter().collect();
        let of_node = format!("AND users.node_id = {}", node.0);
        let rows = batch::fetch(&mut tx, PEERS_OF_TENANTS, &tenants, &of_node).await?;
        tx.commit().await?;
        Ok(Arc::new(NodePeers::new(generation, rows)))
    }
}

impl Tenant {
    /// Adds bytes to the current month. Returns the quota if there is a limit.
    fn count(&mut self, bytes: u64, at: Timestamp) -> Option<QuotaUse> {
        let counted = quota::current(self.counted, || self.limits.rule(), at);
        let counted = PeriodUse {
            bytes: counted.bytes.saturating_add(bytes),
            ..counted
        };
        self.counted = Some(counted);
        let quota = quota::readable(self.limits.quota(counted))?;
        (quota.limit_bytes.is_some() || quota.is_due()).then_some(quota)
    }
}

/// Returns the query for tenants that are on the node, without their ids. The counters of
/// one that has moved meanwhile are another machine's. Only a number is inserted.
pub(super) fn existing_tenants(node: NodeId) -> String {
    format!(
        "{EXISTING_TENANTS} WHERE users.node_id = {} AND users.id IN",
        node.0
    )
}

/// Loads the counters of tenants, and locks the tenants against deletion until
/// the end of the transaction. Locks are taken in the common order
/// ([`crate::nodes`]), by id. SQLite has one writer at a time and needs none.
async fn load_counters(tx: &mut Tx, node: NodeId, ids: Vec<i64>) -> Result<BTreeMap<i64, Tenant>> {
    let (share_lock, update_lock) = match tx.connection() {
        Either::Sqlite(_) => ("", ""),
        Either::Postgres(_) => (
            "ORDER BY users.id FOR KEY SHARE OF users",
            "ORDER BY user_id FOR UPDATE",
        ),
    };
    let existing: Vec<LimitRow> =
        batch::fetch(tx, &existing_tenants(node), &ids, share_lock).await?;
    let rows: Vec<(i64, Vec<u8>, i64, i64, i64)> =
        batch::fetch(tx, TENANT_COUNTERS, &ids, update_lock).await?;
    let mut tenants: BTreeMap<_, _> = existing
        .into_iter()
        .map(|limits| {
            let tenant = Tenant {
                counters: TenantCounters::default(),
                counted: None,
                limits,
            };
            (tenant.limits.id, tenant)
        })
        .collect();
    for (id, bytes, start, end, used) in rows {
        let Some(tenant) = tenants.get_mut(&id) else {
            continue;
        };
        match TenantCounters::decode(&bytes) {
            Some(counters) => {
                tenant.counters = counters;
                tenant.counted = quota::counted(start, end, used);
            }
            // Other tenants are recorded; the row of this one is not changed.
            None => {
                tracing::error!(tenant = id, "tenant_traffic.counters is unreadable");
                tenants.remove(&id);
            }
        }
    }
    Ok(tenants)
}

/// Adds the counters of devices that are read for the first time. They begin
/// with the columns of `peers`: zero, or the last values of the previous version.
async fn add_new_devices(
    tx: &mut Tx,
    tenants: &mut BTreeMap<i64, Tenant>,
    readings: &Readings<'_>,
) -> Result<()> {
    type Row = (i64, i64, i64, i64, i64, Option<i64>, Option<String>);
    let mut new = BTreeMap::new();
    for (tenant, readings) in readings {
        if let Some(Tenant { counters, .. }) = tenants.get(tenant) {
            let unknown = readings.keys().filter(|id| counters.device(**id).is_none());
            new.extend(unknown.map(|id| (*id, *tenant)));
        }
    }
    let ids: Vec<i64> = new.keys().copied().collect();
    let rows: Vec<Row> = batch::fetch(tx, INITIAL_COUNTERS, &ids, "").await?;
    for (id, rx_total, tx_total, last_rx, last_tx, handshake, endpoint) in rows {
        let Some(tenant) = new.get(&id).and_then(|t| tenants.get_mut(t)) else {
            continue;
        };
        let traffic = |rx, tx| Traffic {
            rx: unsigned(rx),
            tx: unsigned(tx),
        };
        tenant.counters.devices.push(DeviceCounters {
            id,
            last: traffic(last_rx, last_tx),
            total: traffic(rx_total, tx_total),
            handshake,
            endpoint: endpoint.and_then(|e| e.parse().ok()),
            sums: [Traffic::default(); SUM_COUNT],
        });
    }
    for Tenant { counters, .. } in tenants.values_mut() {
        counters.devices.sort_unstable_by_key(|d| d.id);
    }
    Ok(())
}

/// Moves unreported traffic to `bandwidth_stats`, for the tenants that have
/// waited longest.
async fn report_bandwidth(
    tx: &mut Tx,
    rows: &mut PendingRows,
    tenants: &mut BTreeMap<i64, Tenant>,
    changed: &[i64],
    at: Timestamp,
) -> Result<()> {
    let mut due: Vec<(i64, i64)> = changed
        .iter()
        .filter_map(|t| tenants.get(t).map(|c| (c.counters.reported_at, *t)))
        .filter(|(reported_at, _)| {
            (at.0 - REPORT_INTERVAL_MILLIS) >= *reported_at || *reported_at > at.0
        })
        .collect();
    due.sort_unstable();
    due.truncate(REPORTED_TENANTS);
    let mut reported = BTreeMap::new();
    for (_, tenant) in due {
        let Some(Tenant { counters, .. }) = tenants.get_mut(&tenant) else {
            continue;
        };
        counters.reported_at = at.0;
        for d in &mut counters.devices {
            let traffic = std::mem::take(&mut d.sums[UNREPORTED]);
            if !traffic.is_zero() {
                reported.insert(d.id, traffic);
            }
        }
    }
    let ids: Vec<i64> = reported.keys().copied().collect();
    // Without the lock, a device deleted meanwhile would fail the whole reading.
    let lock = match tx.connection() {
        Either::Sqlite(_) => "",
        Either::Postgres(_) => "ORDER BY id FOR KEY SHARE",
    };
    let existing: Vec<(i64,)> = batch::fetch(tx, EXISTING_PEERS, &ids, lock).await?;
    for (id,) in existing {
        if let Some(traffic) = reported.get(&id) {
            rows.push_bandwidth(id, at, *traffic);
        }
    }
    Ok(())
}

/// Begins the month of tenants for whom none was counted: with the traffic since its
/// start that a version recorded which counted no months.
async fn take_over_months(
    tx: &mut Tx,
    tenants: &mut BTreeMap<i64, Tenant>,
    at: Timestamp,
) -> Result<()> {
    let is_older = |t: &&mut Tenant| t.counted.is_none();
    let mut older = BTreeMap::new();
    for tenant in tenants.values_mut().filter(is_older) {
        let period = tenant.limits.rule().period(at);
        let bytes = month_bytes(0, &tenant.counters, period.start);
        tenant.counted = Some(PeriodUse { period, bytes });
        older.insert(tenant.limits.id, period.start);
    }
    let Some(since) = older.values().min() else {
        return Ok(());
    };
    let ids: Vec<i64> = older.keys().copied().collect();
    let sql = days_since(*since);
    let rows: Vec<(i64, i64, i64, i64)> = batch::fetch(tx, &sql, &ids, "").await?;
    for (id, day, rx, tx) in rows {
        let is_of_month = older.get(&id).is_some_and(|start| day >= start.0);
        if let Some(counted) = tenants.get_mut(&id).and_then(|t| t.counted.as_mut())
            && is_of_month
        {
            let bytes = unsigned(rx).saturating_add(unsigned(tx));
            counted.bytes = counted.bytes.saturating_add(bytes);
        }
    }
    Ok(())
}

/// Returns the query for the days of tenants since a time, without their ids.
pub(super) fn days_since(since: Timestamp) -> String {
    format!(
        "SELECT user_id, day, rx_bytes, tx_bytes FROM usage_days WHERE day >= {} AND user_id IN",
        since.0
    )
}
