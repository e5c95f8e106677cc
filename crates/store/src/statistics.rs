//! Traffic: counters as WireGuard shows them become totals and buckets of 10 s,
//! a minute, a quarter of an hour, an hour and a day ([`domain::Span`]).
//! [`crate::series`] reads them.
//!
//! A counter lower than the last one seen means that the interface was made
//! anew and counts from zero; the reading itself is then what came since.
//!
//! # Why it is packed
//! A row for each device and bucket would be 3,581 rows for each device in
//! use, 71 million for 20,000: 1.9 GB in SQLite at 27 bytes, 10 GB in PostgreSQL
//! at 139; and a reading of 20,000 devices took 170 ms to write in SQLite and
//! 440 to 660 ms in PostgreSQL. A ring of buckets for each device would be no
//! more rows than devices, but every reading would write every ring anew, by
//! reckoning 115 MB in ten seconds.
//!
//! So a bucket is one row for a *tenant*, with the shares of its devices packed
//! into some bytes ([`crate::packed`]), and it is written once, when it is
//! full. Until then its sums stand in the tenant's one row of `tenant_traffic`,
//! beside the counters. A reading therefore writes two rows for each tenant in
//! use and nothing for others, all in one transaction, short enough that a
//! person's change hardly waits for it (docs/PERFORMANCE.md). A bucket that is
//! full while nothing goes through its tenant is written with the tenant's next
//! bytes.
//!
//! `bandwidth_stats` stays what can be read with plain SQL: a device's bytes
//! since its row before, six hours or more, for a week. Tenants take turns, so
//! that it adds little to any reading.
//!
//! Invariant: one recorder per node. Two would both add the same bytes.

use crate::{
    Result, Store, StoreError, batch,
    db::{Either, Tx, execute, fetch_all, fetch_optional},
    packed::{Bytes, Counters, Device, SUMS, UNTOLD},
    rollup::{Rows, TABLES, number},
};
use domain::{PublicKey, Timestamp};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
};

/// A tenant's devices get rows in `bandwidth_stats` this often …
const TELL_EVERY: i64 = 6 * 3_600_000;
/// … this many tenants with one reading …
const TELL_TENANTS: usize = 10;
/// … and they are kept so long.
const TOLD_FOR: i64 = 7 * 86_400_000;
/// Rows of it removed in one statement.
const PRUNE: i64 = 2_000;

/// A peer's counters as read from its interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatSample {
    /// The peer.
    pub public_key: PublicKey,
    /// Bytes received from it since the interface was made.
    pub rx_bytes: u64,
    /// Bytes sent to it since the interface was made.
    pub tx_bytes: u64,
    /// Its last handshake, if there was one.
    pub last_handshake: Option<Timestamp>,
    /// Where its packets came from last.
    pub endpoint: Option<SocketAddr>,
}

pub(crate) const ALIVE: &str = "SELECT id FROM users WHERE id IN";
pub(crate) const COUNTERS: &str = "SELECT user_id, counters FROM tenant_traffic WHERE user_id IN";
pub(crate) const BEGINNINGS: &str = "SELECT id, rx_total, tx_total, last_rx, last_tx, \
     last_handshake, endpoint FROM peers WHERE id IN";
pub(crate) const TELLABLE: &str = "SELECT id FROM peers WHERE id IN";

/// Which peer of which tenant a key is. The ids of a key that is known stay
/// true as long as the database's generation: every change of peers raises it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    generation: Option<i64>,
    peers: HashMap<PublicKey, (i64, i64)>,
    ids: HashSet<i64>,
}

impl Store {
    /// Records readings, all in one transaction. Peers that are not (any more)
    /// in the database are passed over; of two readings of one peer the last
    /// counts.
    ///
    /// # Errors
    /// What the database said. What was not recorded is not lost: the next
    /// readings of the same counters bring it.
    pub async fn record_statistics(&self, samples: &[StatSample], at: Timestamp) -> Result<()> {
        let mut known = self.recorder.lock().await;
        known.refresh(self).await?;
        let mut tenants: BTreeMap<i64, BTreeMap<i64, &StatSample>> = BTreeMap::new();
        for s in samples {
            if let Some((tenant, peer)) = known.peers.get(&s.public_key) {
                tenants.entry(*tenant).or_default().insert(*peer, s);
            }
        }
        if tenants.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        let mut states = load(&mut tx, tenants.keys().copied().collect()).await?;
        begin_new(&mut tx, &mut states, &tenants).await?;
        let mut rows = Rows::default();
        let mut changed = Vec::new();
        for (tenant, readings) in &tenants {
            let Some(counters) = states.get_mut(tenant) else {
                continue; // gone
            };
            if rows.take(*tenant, counters, readings, &known.ids, at) {
                changed.push(*tenant);
            }
        }
        tell(&mut tx, &mut rows, &mut states, &changed, at).await?;
        for tenant in changed {
            if let Some(c) = states.get(&tenant) {
                rows.counters.push([tenant.into(), c.encode().into()]);
            }
        }
        rows.write(&mut tx, at).await?;
        tx.commit().await
    }

    /// Removes what is too old for any graph, a bite of it: at most two buckets
    /// of each length, so that nobody waits long behind it, in one transaction,
    /// which the disk is waited for once. One call for each reading keeps up,
    /// and catches up. Returns how many rows went.
    ///
    /// # Errors
    /// What the database said.
    pub async fn prune_statistics(&self, now: Timestamp) -> Result<u64> {
        let before = now.0.saturating_sub(TOLD_FOR);
        let mut tx = self.db.begin().await?;
        let mut gone = execute!(tx.on(), PRUNE_TOLD, before, PRUNE)?;
        for (span, table) in TABLES {
            let sql = sqlx::AssertSqlSafe(prune(table));
            let (begin, step) = (span.begin(now).0, span.step_millis());
            gone += execute!(tx.on(), sql, begin, step)?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// Removes a tenant's full buckets. It is gone already, and its id is never
    /// given again: nobody waits for this, and what it misses gets old.
    pub(crate) async fn forget_traffic(&self, tenant: i64, now: Timestamp) -> Result<()> {
        for (span, table) in TABLES {
            let sql = sqlx::AssertSqlSafe(forget(table));
            let (begin, end) = (span.begin(now).0, span.step_of(now).0);
            let step = span.step_millis();
            execute!(self.db.writer(), sql, tenant, begin, end, step)?;
        }
        Ok(())
    }
}

pub(crate) const PRUNE_TOLD: &str = "DELETE FROM bandwidth_stats WHERE id IN \
     (SELECT id FROM bandwidth_stats WHERE recorded_at < $1 LIMIT $2)";

pub(crate) fn prune(table: &str) -> String {
    format!(
        "DELETE FROM {table} WHERE bucket < $1 \
           AND bucket <= (SELECT MIN(bucket) FROM {table}) + $2"
    )
}

/// By the key, bucket for bucket: there is no index by tenant.
pub(crate) fn forget(table: &str) -> String {
    format!(
        "DELETE FROM {table} WHERE user_id = $1 AND bucket IN \
           (WITH RECURSIVE b (bucket) AS (SELECT CAST($2 AS BIGINT) \
              UNION ALL SELECT bucket + $4 FROM b WHERE bucket < $3) SELECT bucket FROM b)"
    )
}

impl Known {
    /// Looks whether it is still true. Read before the transaction: a device
    /// that is made or deleted meanwhile is seen with the next reading.
    async fn refresh(&mut self, store: &Store) -> Result<()> {
        let sql = "SELECT CAST(SUM(generation) AS BIGINT) FROM nodes";
        let row = fetch_optional!(store.db.reader(), (Option<i64>,), sql)?;
        let generation = row.and_then(|(n,)| n);
        if self.generation.is_some() && self.generation == generation {
            return Ok(());
        }
        let sql = "SELECT public_key, user_id, id FROM peers";
        let rows = fetch_all!(store.db.reader(), (String, i64, i64), sql)?;
        self.peers.clear();
        self.ids.clear();
        for (key, tenant, peer) in rows {
            match PublicKey::parse(&key) {
                Ok(key) => {
                    self.peers.insert(key, (tenant, peer));
                    self.ids.insert(peer);
                }
                Err(_) => tracing::error!(peer, "peers.public_key is unreadable"),
            }
        }
        self.generation = generation;
        Ok(())
    }
}

/// The counters of tenants, which then cannot be deleted until the end of the
/// transaction. Locks are taken in the order of all (tenant_changes), by id:
/// SQLite has one writer at a time and no need of them.
async fn load(tx: &mut Tx, tenants: Vec<i64>) -> Result<BTreeMap<i64, Counters>> {
    let (share, own) = match tx.on() {
        Either::Sqlite(_) => ("", ""),
        Either::Postgres(_) => ("ORDER BY id FOR KEY SHARE", "ORDER BY user_id FOR UPDATE"),
    };
    let alive: Vec<(i64,)> = batch::fetch(tx, ALIVE, &tenants, share).await?;
    let rows: Vec<(i64, Vec<u8>)> = batch::fetch(tx, COUNTERS, &tenants, own).await?;
    let mut states: BTreeMap<_, _> = alive
        .iter()
        .map(|(id,)| (*id, Counters::default()))
        .collect();
    for (tenant, bytes) in rows {
        match Counters::decode(&bytes) {
            Some(counters) => drop(states.insert(tenant, counters)),
            // Others' statistics go on; this tenant's stay as they are.
            None => {
                tracing::error!(tenant, "tenant_traffic.counters is unreadable");
                states.remove(&tenant);
            }
        }
    }
    Ok(states)
}

/// Gives devices that are read for the first time their counters: zero, or
/// where the version before left off.
async fn begin_new(
    tx: &mut Tx,
    states: &mut BTreeMap<i64, Counters>,
    tenants: &BTreeMap<i64, BTreeMap<i64, &StatSample>>,
) -> Result<()> {
    type Row = (i64, i64, i64, i64, i64, Option<i64>, Option<String>);
    let mut new = BTreeMap::new();
    for (tenant, readings) in tenants {
        if let Some(counters) = states.get(tenant) {
            let unknown = readings.keys().filter(|id| counters.device(**id).is_none());
            new.extend(unknown.map(|id| (*id, *tenant)));
        }
    }
    let ids: Vec<i64> = new.keys().copied().collect();
    let rows: Vec<Row> = batch::fetch(tx, BEGINNINGS, &ids, "").await?;
    for (id, rx_total, tx_total, last_rx, last_tx, handshake, endpoint) in rows {
        let Some(counters) = new.get(&id).and_then(|t| states.get_mut(t)) else {
            continue;
        };
        let bytes = |rx, tx| Bytes {
            rx: u64::try_from(rx).unwrap_or(0),
            tx: u64::try_from(tx).unwrap_or(0),
        };
        counters.devices.push(Device {
            id,
            last: bytes(last_rx, last_tx),
            total: bytes(rx_total, tx_total),
            handshake,
            endpoint: endpoint.and_then(|e| e.parse().ok()),
            sums: [Bytes::default(); SUMS],
        });
    }
    for counters in states.values_mut() {
        counters.devices.sort_unstable_by_key(|d| d.id);
    }
    Ok(())
}

/// Moves what `bandwidth_stats` does not have yet there, of the tenants that
/// have waited longest.
async fn tell(
    tx: &mut Tx,
    rows: &mut Rows,
    states: &mut BTreeMap<i64, Counters>,
    changed: &[i64],
    at: Timestamp,
) -> Result<()> {
    let mut due: Vec<(i64, i64)> = changed
        .iter()
        .filter_map(|t| states.get(t).map(|c| (c.told, *t)))
        .filter(|(told, _)| (at.0 - TELL_EVERY) >= *told || *told > at.0)
        .collect();
    due.sort_unstable();
    due.truncate(TELL_TENANTS);
    let mut told = BTreeMap::new();
    for (_, tenant) in due {
        let Some(counters) = states.get_mut(&tenant) else {
            continue;
        };
        counters.told = at.0;
        for d in &mut counters.devices {
            let bytes = std::mem::take(&mut d.sums[UNTOLD]);
            if !bytes.is_zero() {
                told.insert(d.id, bytes);
            }
        }
    }
    let ids: Vec<i64> = told.keys().copied().collect();
    // A device that goes meanwhile would make the whole reading fail.
    let lock = match tx.on() {
        Either::Sqlite(_) => "",
        Either::Postgres(_) => "ORDER BY id FOR KEY SHARE",
    };
    let there: Vec<(i64,)> = batch::fetch(tx, TELLABLE, &ids, lock).await?;
    for (id,) in there {
        if let Some(b) = told.get(&id) {
            rows.told
                .push([id.into(), at.0.into(), number(b.rx), number(b.tx)]);
        }
    }
    Ok(())
}

/// A tenant's counters, of whichever moment its row is of.
pub(crate) fn decode(tenant: i64, bytes: Option<&[u8]>) -> Result<Counters> {
    let Some(bytes) = bytes else {
        return Ok(Counters::default());
    };
    Counters::decode(bytes)
        .ok_or_else(|| StoreError::Corrupt(format!("tenant_traffic.counters of user {tenant}")))
}
