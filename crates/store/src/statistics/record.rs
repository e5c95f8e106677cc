//! Records readings.

use super::{
    peer_index::{NodePeers, PeerIndex},
    rollup::PendingRows,
    sample::StatSample,
    traffic_codec::{DeviceCounters, SUM_COUNT, TenantCounters, Traffic, UNREPORTED},
};
use crate::{
    Result, Store,
    db::{Either, Tx, batch, fetch_all, unsigned},
};
use domain::{NodeId, Timestamp};
use std::collections::BTreeMap;

/// How often a tenant's devices get rows in `bandwidth_stats` …
const REPORT_INTERVAL_MILLIS: i64 = 6 * 3_600_000;
/// … and how many tenants get them with one reading.
const REPORTED_TENANTS: usize = 10;

pub(super) const PEERS_OF_NODE: &str = "SELECT peers.public_key, peers.user_id, peers.id \
     FROM users JOIN peers ON peers.user_id = users.id WHERE users.node_id = $1";
pub(super) const EXISTING_TENANTS: &str = "SELECT id FROM users WHERE id IN";
pub(super) const TENANT_COUNTERS: &str =
    "SELECT user_id, counters FROM tenant_traffic WHERE user_id IN";
pub(super) const INITIAL_COUNTERS: &str = "SELECT id, rx_total, tx_total, last_rx, last_tx, \
     last_handshake, endpoint FROM peers WHERE id IN";
pub(super) const EXISTING_PEERS: &str = "SELECT id FROM peers WHERE id IN";

/// The readings of each peer of each tenant, by their ids.
type Readings<'a> = BTreeMap<i64, BTreeMap<i64, &'a StatSample>>;

impl Store {
    /// Records readings of one node in one transaction. Peers that are not that
    /// node's (any more) are ignored; of two readings of one peer the last one
    /// counts.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`](crate::StoreError::NotFound) for an unknown
    /// node, or the database's error. The traffic is not lost then: the next
    /// readings of the same counters include it.
    pub async fn record_statistics(
        &self,
        node: NodeId,
        samples: &[StatSample],
        at: Timestamp,
    ) -> Result<()> {
        let mut index = self.peer_index.lock().await;
        let peers = self.current_peers(&mut index, node).await?;
        let mut readings = Readings::new();
        for s in samples {
            if let Some((tenant, peer)) = peers.find(&s.public_key) {
                readings.entry(tenant).or_default().insert(peer, s);
            }
        }
        if readings.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        let mut tenants = load_counters(&mut tx, readings.keys().copied().collect()).await?;
        add_new_devices(&mut tx, &mut tenants, &readings).await?;
        let mut rows = PendingRows::default();
        let mut changed = Vec::new();
        for (tenant, readings) in &readings {
            let Some(counters) = tenants.get_mut(tenant) else {
                continue; // deleted or unreadable
            };
            if rows.apply(*tenant, counters, readings, peers.ids(), at) {
                changed.push(*tenant);
            }
        }
        report_bandwidth(&mut tx, &mut rows, &mut tenants, &changed, at).await?;
        for tenant in changed {
            if let Some(counters) = tenants.get(&tenant) {
                rows.push_counters(tenant, counters);
            }
        }
        rows.write(&mut tx, at).await?;
        tx.commit().await
    }

    /// Returns the node's peers. Reads them again if the node's generation has
    /// changed; those of other nodes are not read. This happens before the
    /// transaction of the reading: a device that is created or deleted meanwhile
    /// takes effect with the next reading.
    async fn current_peers<'a>(
        &self,
        index: &'a mut PeerIndex,
        node: NodeId,
    ) -> Result<&'a NodePeers> {
        let generation = self.generation(node).await?;
        let peers = index.node(node);
        if !peers.is_current(generation) {
            let rows = fetch_all!(self.db.reader(), (String, i64, i64), PEERS_OF_NODE, node.0)?;
            peers.replace(generation, rows);
        }
        Ok(peers)
    }
}

/// Loads the counters of tenants, and locks the tenants against deletion until
/// the end of the transaction. Locks are taken in the common order
/// ([`crate::nodes`]), by id. SQLite has one writer at a time and needs none.
async fn load_counters(tx: &mut Tx, ids: Vec<i64>) -> Result<BTreeMap<i64, TenantCounters>> {
    let (share_lock, update_lock) = match tx.connection() {
        Either::Sqlite(_) => ("", ""),
        Either::Postgres(_) => ("ORDER BY id FOR KEY SHARE", "ORDER BY user_id FOR UPDATE"),
    };
    let existing: Vec<(i64,)> = batch::fetch(tx, EXISTING_TENANTS, &ids, share_lock).await?;
    let rows: Vec<(i64, Vec<u8>)> = batch::fetch(tx, TENANT_COUNTERS, &ids, update_lock).await?;
    let mut tenants: BTreeMap<_, _> = existing
        .iter()
        .map(|(id,)| (*id, TenantCounters::default()))
        .collect();
    for (tenant, bytes) in rows {
        match TenantCounters::decode(&bytes) {
            Some(counters) => drop(tenants.insert(tenant, counters)),
            // Other tenants are recorded; the row of this one is not changed.
            None => {
                tracing::error!(tenant, "tenant_traffic.counters is unreadable");
                tenants.remove(&tenant);
            }
        }
    }
    Ok(tenants)
}

/// Adds the counters of devices that are read for the first time. They begin
/// with the columns of `peers`: zero, or the last values of the previous version.
async fn add_new_devices(
    tx: &mut Tx,
    tenants: &mut BTreeMap<i64, TenantCounters>,
    readings: &Readings<'_>,
) -> Result<()> {
    type Row = (i64, i64, i64, i64, i64, Option<i64>, Option<String>);
    let mut new = BTreeMap::new();
    for (tenant, readings) in readings {
        if let Some(counters) = tenants.get(tenant) {
            let unknown = readings.keys().filter(|id| counters.device(**id).is_none());
            new.extend(unknown.map(|id| (*id, *tenant)));
        }
    }
    let ids: Vec<i64> = new.keys().copied().collect();
    let rows: Vec<Row> = batch::fetch(tx, INITIAL_COUNTERS, &ids, "").await?;
    for (id, rx_total, tx_total, last_rx, last_tx, handshake, endpoint) in rows {
        let Some(counters) = new.get(&id).and_then(|t| tenants.get_mut(t)) else {
            continue;
        };
        let traffic = |rx, tx| Traffic {
            rx: unsigned(rx),
            tx: unsigned(tx),
        };
        counters.devices.push(DeviceCounters {
            id,
            last: traffic(last_rx, last_tx),
            total: traffic(rx_total, tx_total),
            handshake,
            endpoint: endpoint.and_then(|e| e.parse().ok()),
            sums: [Traffic::default(); SUM_COUNT],
        });
    }
    for counters in tenants.values_mut() {
        counters.devices.sort_unstable_by_key(|d| d.id);
    }
    Ok(())
}

/// Moves unreported traffic to `bandwidth_stats`, for the tenants that have
/// waited longest.
async fn report_bandwidth(
    tx: &mut Tx,
    rows: &mut PendingRows,
    tenants: &mut BTreeMap<i64, TenantCounters>,
    changed: &[i64],
    at: Timestamp,
) -> Result<()> {
    let mut due: Vec<(i64, i64)> = changed
        .iter()
        .filter_map(|t| tenants.get(t).map(|c| (c.reported_at, *t)))
        .filter(|(reported_at, _)| {
            (at.0 - REPORT_INTERVAL_MILLIS) >= *reported_at || *reported_at > at.0
        })
        .collect();
    due.sort_unstable();
    due.truncate(REPORTED_TENANTS);
    let mut reported = BTreeMap::new();
    for (_, tenant) in due {
        let Some(counters) = tenants.get_mut(&tenant) else {
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
