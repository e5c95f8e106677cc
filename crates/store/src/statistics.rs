//! Traffic: counters as WireGuard shows them become totals, minutes
//! (`bandwidth_stats`) and days (`usage_days`).
//!
//! A counter lower than the last one seen means that the interface was made
//! anew and counts from zero; the reading itself is then what came since.
//!
//! Invariant: one recorder per node. Two would both add the same bytes.

use crate::{
    Result, Store,
    db::{Either, execute, fetch_all, fetch_optional},
};
use domain::{PublicKey, TenantScope, Timestamp};
use sqlx::AssertSqlSafe;
use std::{collections::BTreeMap, net::SocketAddr};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Readings in one statement: 5 values each stay far below SQLite's 32,766
/// and PostgreSQL's 65,535.
const CHUNK: usize = 400;
/// The highest counter believed, 8 PiB: it keeps sums of nonsense from
/// overflowing, which would stop everybody's statistics.
const HIGHEST: i64 = 1 << 53;
/// Rows removed in one statement, so that nobody waits long behind it.
const PRUNE: i64 = 10_000;

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

/// A tenant's bytes of one UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageDay {
    /// Midnight, when the day begins.
    pub day: Timestamp,
    /// Bytes from the devices.
    pub rx_bytes: u64,
    /// Bytes to the devices.
    pub tx_bytes: u64,
}

/// PostgreSQL: keeps tenants and devices from being deleted until the readings
/// are in, in the order of all locks (tenant_changes): no deadlock with a
/// deletion, no reference to a row that has just gone. `$1` is 0: every
/// statement here takes the same arguments.
const LOCK_TENANTS: &str = "SELECT users.id FROM users WHERE $1 >= 0 AND users.id IN \
     (SELECT peers.user_id FROM s JOIN peers ON peers.public_key = s.public_key) \
     ORDER BY users.id FOR KEY SHARE";
const LOCK_DEVICES: &str = "SELECT peers.id FROM peers WHERE $1 >= 0 AND peers.public_key IN \
     (SELECT s.public_key FROM s) ORDER BY peers.id FOR KEY SHARE";

/// What came since the last reading: shared by the two statements that add it.
macro_rules! deltas {
    () => {
        "SELECT peers.id AS peer_id, peers.user_id, \
           CASE WHEN s.rx >= peers.last_rx THEN s.rx - peers.last_rx ELSE s.rx END AS rx, \
           CASE WHEN s.tx >= peers.last_tx THEN s.tx - peers.last_tx ELSE s.tx END AS tx \
         FROM s JOIN peers ON peers.public_key = s.public_key"
    };
}

pub(crate) const DAYS: &str = concat!(
    "INSERT INTO usage_days (user_id, day, rx_bytes, tx_bytes) \
     SELECT d.user_id, $1, CAST(SUM(d.rx) AS BIGINT), CAST(SUM(d.tx) AS BIGINT) FROM (",
    deltas!(),
    ") AS d WHERE d.rx > 0 OR d.tx > 0 GROUP BY d.user_id \
     ON CONFLICT (user_id, day) DO UPDATE SET \
       rx_bytes = usage_days.rx_bytes + excluded.rx_bytes, \
       tx_bytes = usage_days.tx_bytes + excluded.tx_bytes"
);

pub(crate) const MINUTES: &str = concat!(
    "INSERT INTO bandwidth_stats (peer_id, recorded_at, rx_bytes, tx_bytes) \
     SELECT d.peer_id, $1, d.rx, d.tx FROM (",
    deltas!(),
    ") AS d WHERE d.rx > 0 OR d.tx > 0 \
     ON CONFLICT (peer_id, recorded_at) DO UPDATE SET \
       rx_bytes = bandwidth_stats.rx_bytes + excluded.rx_bytes, \
       tx_bytes = bandwidth_stats.tx_bytes + excluded.tx_bytes"
);

/// Only rows that change are written. A handshake and an endpoint that an
/// interface made anew does not know yet stay as they were.
pub(crate) const TOTALS: &str = "UPDATE peers SET \
       rx_total = rx_total + CASE WHEN s.rx >= last_rx THEN s.rx - last_rx ELSE s.rx END, \
       tx_total = tx_total + CASE WHEN s.tx >= last_tx THEN s.tx - last_tx ELSE s.tx END, \
       last_rx = s.rx, last_tx = s.tx, \
       last_handshake = COALESCE(s.handshake, last_handshake), \
       endpoint = COALESCE(s.endpoint, peers.endpoint) \
     FROM s WHERE peers.public_key = s.public_key AND $1 >= 0 \
       AND (last_rx <> s.rx OR last_tx <> s.tx \
         OR last_handshake IS DISTINCT FROM COALESCE(s.handshake, last_handshake) \
         OR peers.endpoint IS DISTINCT FROM COALESCE(s.endpoint, peers.endpoint))";

/// `WITH s (…) AS (VALUES ($2, …), …)` for so many readings, then a statement.
/// Made of numbers only, so nothing in it can be somebody's input.
pub(crate) fn with_samples(count: usize, statement: &str) -> String {
    let mut sql = String::from("WITH s (public_key, rx, tx, handshake, endpoint) AS (VALUES ");
    for i in 0..count {
        let n = 2 + 5 * i;
        let comma = if i == 0 { "" } else { ", " };
        sql.push_str(&format!(
            "{comma}(${}, ${}, ${}, ${}, ${})",
            n,
            n + 1,
            n + 2,
            n + 3,
            n + 4
        ));
    }
    sql.push_str(") ");
    sql.push_str(statement);
    sql
}

/// A reading as the statements take it.
struct Row {
    public_key: String,
    rx: i64,
    tx: i64,
    handshake: Option<i64>,
    endpoint: Option<String>,
}

impl Store {
    /// Records readings. Peers that are not (any more) in the database are
    /// passed over; of two readings of one peer the last counts. Some hundred
    /// readings make a transaction: whole, and short, so that a person's
    /// change never waits for 20,000 of them.
    ///
    /// # Errors
    /// What the database said. What was not recorded is not lost: the next
    /// readings of the same counters bring it.
    pub async fn record_statistics(&self, samples: &[StatSample], at: Timestamp) -> Result<()> {
        // By key: every recorder locks rows in the same order.
        let rows: BTreeMap<PublicKey, &StatSample> =
            samples.iter().map(|s| (s.public_key, s)).collect();
        let rows: Vec<Row> = rows
            .into_iter()
            .map(|(key, s)| Row {
                public_key: key.to_string(),
                rx: signed(s.rx_bytes),
                tx: signed(s.tx_bytes),
                handshake: s.last_handshake.map(|t| t.0),
                endpoint: s.endpoint.map(|e| e.to_string()),
            })
            .collect();
        for chunk in rows.chunks(CHUNK) {
            self.record_chunk(chunk, at).await?;
        }
        Ok(())
    }

    async fn record_chunk(&self, chunk: &[Row], at: Timestamp) -> Result<()> {
        let (day, minute) = (at.0 - at.0.rem_euclid(DAY), at.0 - at.0.rem_euclid(MINUTE));
        let mut tx = self.db.begin().await?;
        let statements = [
            (LOCK_TENANTS, 0),
            (LOCK_DEVICES, 0),
            (DAYS, day),
            (MINUTES, minute),
            (TOTALS, 0),
        ];
        // SQLite has one writer at a time and no need of locks of rows.
        let unneeded = if matches!(tx.on(), Either::Sqlite(_)) {
            2
        } else {
            0
        };
        for (statement, first) in statements.into_iter().skip(unneeded) {
            let sql = AssertSqlSafe(with_samples(chunk.len(), statement));
            // A full chunk's statement is worth keeping prepared.
            let keep = chunk.len() == CHUNK;
            macro_rules! run {
                ($c:expr) => {{
                    let mut q = sqlx::query(sql).persistent(keep).bind(first);
                    for r in chunk {
                        q = q.bind(r.public_key.as_str()).bind(r.rx).bind(r.tx);
                        q = q.bind(r.handshake).bind(r.endpoint.as_deref());
                    }
                    q.execute($c).await.map(drop)?
                }};
            }
            match tx.on() {
                Either::Sqlite(c) => run!(c),
                Either::Postgres(c) => run!(c),
            }
        }
        tx.commit().await
    }

    /// Removes minutes before a time; days stay. Returns how many went.
    ///
    /// # Errors
    /// What the database said.
    pub async fn prune_statistics(&self, before: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM bandwidth_stats WHERE id IN \
                   (SELECT id FROM bandwidth_stats WHERE recorded_at < $1 LIMIT $2)";
        let mut gone = 0;
        loop {
            let n = execute!(self.db.writer(), sql, before.0, PRUNE)?;
            gone += n;
            if n < PRUNE.unsigned_abs() {
                return Ok(gone);
            }
        }
    }

    /// The tenant's bytes, both ways, since a UTC midnight; those of deleted
    /// devices too.
    ///
    /// # Errors
    /// What the database said.
    pub async fn month_bytes(&self, scope: &TenantScope, month_start: Timestamp) -> Result<u64> {
        let sql = "SELECT CAST(COALESCE(SUM(rx_bytes + tx_bytes), 0) AS BIGINT) FROM usage_days \
                   WHERE user_id = $1 AND day >= $2";
        let row = fetch_optional!(
            self.db.reader(),
            (i64,),
            sql,
            scope.tenant().0,
            month_start.0
        )?;
        Ok(row.map_or(0, |(n,)| unsigned(n)))
    }

    /// The tenant's bytes by day, oldest first; days without traffic are not listed.
    ///
    /// # Errors
    /// What the database said.
    pub async fn usage(&self, scope: &TenantScope, since: Timestamp) -> Result<Vec<UsageDay>> {
        let sql = "SELECT day, rx_bytes, tx_bytes FROM usage_days \
                   WHERE user_id = $1 AND day >= $2 ORDER BY day";
        let rows = fetch_all!(
            self.db.reader(),
            (i64, i64, i64),
            sql,
            scope.tenant().0,
            since.0
        )?;
        let day = |(day, rx, tx)| UsageDay {
            day: Timestamp(day),
            rx_bytes: unsigned(rx),
            tx_bytes: unsigned(tx),
        };
        Ok(rows.into_iter().map(day).collect())
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(HIGHEST).min(HIGHEST)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{db::Either, spec};

    /// What SQLite means to do for a statement.
    async fn plan(store: &Store, statement: &str) -> String {
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let Either::Sqlite(pool) = store.db.writer() else {
            panic!("not SQLite")
        };
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
        rows.into_iter().map(|r| r.3 + "\n").collect()
    }

    #[tokio::test]
    async fn what_runs_often_walks_over_no_whole_table() {
        let store = Store::memory().await.unwrap();
        let mut statements = [DAYS, MINUTES, TOTALS]
            .map(|s| with_samples(400, s))
            .to_vec();
        statements.extend(
            [
                spec::TENANTS,
                spec::DEVICES,
                spec::HELD,
                spec::SLOTS,
                "SELECT id FROM peers WHERE user_id = $1 ORDER BY id",
                "SELECT id FROM bandwidth_stats WHERE recorded_at < $1 LIMIT $2",
                "SELECT SUM(rx_bytes) FROM usage_days WHERE user_id = $1 AND day >= $2",
                "DELETE FROM users WHERE id = $1",
                "DELETE FROM peers WHERE user_id = $1 AND id = $2",
                "DELETE FROM sessions WHERE expires <= $1",
                "SELECT at FROM audit_log ORDER BY id DESC LIMIT $1",
            ]
            .map(str::to_owned),
        );
        for s in statements {
            let plan = plan(&store, &s).await;
            for table in [
                "peers",
                "users",
                "bandwidth_stats",
                "usage_days",
                "sessions",
            ] {
                assert!(!plan.contains(&format!("SCAN {table}")), "{s}\n{plan}");
            }
        }
    }
}
