//! A reading rolled up: what it adds to a tenant's sums, and the rows of the
//! buckets that are full with it. [`crate::statistics`] says why it is so.

use crate::{
    Result, StatSample,
    batch::{self, Value},
    db::{Either, Tx},
    packed::{Bytes, Counters, Device, UNTOLD, shares},
};
use domain::{Span, Timestamp};
use std::collections::{BTreeMap, HashSet};

/// The highest counter believed, 8 PiB: it keeps sums of nonsense from
/// overflowing, which would stop everybody's statistics.
const HIGHEST: u64 = 1 << 53;
/// What the sums before [`UNTOLD`] are of, in their order.
pub(crate) const SUMMED: [Span; UNTOLD] = [Span::Day, Span::Week, Span::Month, Span::Year];
/// Where full buckets are kept, but for days.
pub(crate) const TABLES: [(Span, &str); 4] = [
    (Span::Hour, "traffic_ticks"),
    (Span::Day, "traffic_minutes"),
    (Span::Week, "traffic_quarters"),
    (Span::Month, "traffic_hours"),
];

/// Rows to write.
#[derive(Default)]
pub(crate) struct Rows {
    pub counters: Vec<[Value; 2]>,
    full: [Vec<[Value; 3]>; TABLES.len()],
    days: Vec<[Value; 5]>,
    /// Of `bandwidth_stats`.
    pub told: Vec<[Value; 4]>,
}

impl Rows {
    /// Takes a tenant's readings in; whether anything has changed. Buckets that
    /// `at` is not in any more are full.
    pub fn take(
        &mut self,
        tenant: i64,
        counters: &mut Counters,
        readings: &BTreeMap<i64, &StatSample>,
        alive: &HashSet<i64>,
        at: Timestamp,
    ) -> bool {
        let mut came = Vec::new();
        let mut changed = false;
        for d in &mut counters.devices {
            let Some(s) = readings.get(&d.id) else {
                continue;
            };
            // A handshake and an endpoint that an interface made anew does not
            // know yet stay as they were.
            let handshake = s.last_handshake.map(|t| t.0).or(d.handshake);
            let endpoint = s.endpoint.or(d.endpoint);
            changed |= (handshake, endpoint) != (d.handshake, d.endpoint);
            (d.handshake, d.endpoint) = (handshake, endpoint);
            let now = Bytes {
                rx: s.rx_bytes.min(HIGHEST),
                tx: s.tx_bytes.min(HIGHEST),
            };
            changed |= now != d.last;
            let bytes = Bytes {
                rx: now.rx.checked_sub(d.last.rx).unwrap_or(now.rx),
                tx: now.tx.checked_sub(d.last.tx).unwrap_or(now.tx),
            };
            d.last = now;
            if !bytes.is_zero() {
                d.total.add(bytes);
                came.push((d.id, bytes));
            }
        }
        if !changed {
            return false;
        }
        for (i, span) in SUMMED.into_iter().enumerate() {
            let bucket = span.step_of(at).0;
            if bucket != counters.open[i] {
                let begun = std::mem::replace(&mut counters.open[i], bucket);
                let sums = counters.devices.iter_mut();
                let sums: Vec<_> = sums
                    .map(|d| (d.id, std::mem::take(&mut d.sums[i])))
                    .collect();
                self.close(span, begun, tenant, &sums);
            }
        }
        self.close(Span::Hour, Span::Hour.step_of(at).0, tenant, &came);
        let mut came = came.into_iter().peekable();
        for d in &mut counters.devices {
            if let Some((_, bytes)) = came.next_if(|(id, _)| *id == d.id) {
                d.sums.iter_mut().for_each(|sum| sum.add(bytes));
            }
        }
        // A deleted device's bytes stay until the last bucket is full.
        let summed = |d: &Device| d.sums[..UNTOLD].iter().any(|b| !b.is_zero());
        counters
            .devices
            .retain(|d| alive.contains(&d.id) || summed(d));
        for d in &mut counters.devices {
            if !alive.contains(&d.id) {
                d.handshake = None;
            }
        }
        true
    }

    /// A bucket's row.
    fn close(&mut self, span: Span, bucket: i64, tenant: i64, sums: &[(i64, Bytes)]) {
        let packed = shares(sums.iter().copied());
        if packed.is_empty() {
            return;
        }
        if let Some(i) = TABLES.iter().position(|(s, _)| *s == span) {
            self.full[i].push([bucket.into(), tenant.into(), packed.into()]);
            return;
        }
        let mut all = Bytes::default();
        sums.iter().for_each(|(_, b)| all.add(*b));
        let (rx, tx) = (number(all.rx), number(all.tx));
        self.days
            .push([tenant.into(), bucket.into(), rx, tx, packed.into()]);
    }

    pub async fn write(&self, tx: &mut Tx, at: Timestamp) -> Result<()> {
        // A bucket that is there already (the clock went back, two readings
        // within 10 s) gets the rest behind what it has.
        let join = match tx.on() {
            Either::Sqlite(_) => sqlite_join,
            Either::Postgres(_) => postgres_join,
        };
        for ((_, table), rows) in TABLES.iter().zip(&self.full) {
            let before = format!("INSERT INTO {table} (bucket, user_id, devices) VALUES");
            let after = format!(
                "ON CONFLICT (bucket, user_id) DO UPDATE SET devices = {}",
                join(table)
            );
            batch::write(tx, &before, rows, &after).await?;
        }
        if !self.days.is_empty() {
            let after = format!(
                "ON CONFLICT (user_id, day) DO UPDATE SET \
                   rx_bytes = usage_days.rx_bytes + excluded.rx_bytes, \
                   tx_bytes = usage_days.tx_bytes + excluded.tx_bytes, devices = {}",
                join("usage_days")
            );
            batch::write(tx, INSERT_DAYS, &self.days, &after).await?;
            // Once a day for each tenant, along the key.
            let tenants: Vec<i64> = self.days.iter().filter_map(|[t, ..]| t.number()).collect();
            let before = old_days(Span::Year.begin(at).0);
            let _: Vec<(i64,)> = batch::fetch(tx, &before, &tenants, "RETURNING user_id").await?;
        }
        batch::write(tx, INSERT_TOLD, &self.told, ADD_TOLD).await?;
        batch::write(tx, INSERT_COUNTERS, &self.counters, SET_COUNTERS).await
    }
}

/// Before the ids of tenants: their days before a time.
pub(crate) fn old_days(before: i64) -> String {
    format!("DELETE FROM usage_days WHERE day < {before} AND user_id IN")
}

const INSERT_DAYS: &str =
    "INSERT INTO usage_days (user_id, day, rx_bytes, tx_bytes, devices) VALUES";
const INSERT_TOLD: &str =
    "INSERT INTO bandwidth_stats (peer_id, recorded_at, rx_bytes, tx_bytes) VALUES";
const ADD_TOLD: &str = "ON CONFLICT (peer_id, recorded_at) DO UPDATE SET \
     rx_bytes = bandwidth_stats.rx_bytes + excluded.rx_bytes, \
     tx_bytes = bandwidth_stats.tx_bytes + excluded.tx_bytes";
const INSERT_COUNTERS: &str = "INSERT INTO tenant_traffic (user_id, counters) VALUES";
const SET_COUNTERS: &str = "ON CONFLICT (user_id) DO UPDATE SET counters = excluded.counters";

/// SQLite joins bytes as text, byte for byte.
fn sqlite_join(table: &str) -> String {
    format!("CAST({table}.devices || excluded.devices AS BLOB)")
}

fn postgres_join(table: &str) -> String {
    format!("{table}.devices || excluded.devices")
}

/// In the database numbers are signed; sums of what is believed stay far below.
pub(crate) fn number(n: u64) -> Value {
    Value::Number(i64::try_from(n).unwrap_or(i64::MAX))
}
