//! Adds a reading to a tenant's sums, and collects the rows of the buckets that
//! it completes.

use super::{
    buckets::{BUCKET_TABLES, SUMMED_SPANS},
    sample::StatSample,
    traffic_codec::{DeviceCounters, TenantCounters, Traffic, UNREPORTED, encode_shares},
};
use crate::{
    PeriodUse, Result,
    db::{
        Either, Tx,
        batch::{self, Value},
    },
};
use domain::{Span, Timestamp};
use std::collections::{BTreeMap, HashSet};

/// Higher counters are capped at 8 PiB. Otherwise the sum of invalid values could
/// overflow and stop the statistics of all tenants.
const MAX_COUNTER: u64 = 1 << 53;

const INSERT_DAYS: &str =
    "INSERT INTO usage_days (user_id, day, rx_bytes, tx_bytes, devices) VALUES";
const INSERT_BANDWIDTH_STATS: &str =
    "INSERT INTO bandwidth_stats (peer_id, recorded_at, rx_bytes, tx_bytes) VALUES";
const ADD_BANDWIDTH_STATS: &str = "ON CONFLICT (peer_id, recorded_at) DO UPDATE SET \
     rx_bytes = bandwidth_stats.rx_bytes + excluded.rx_bytes, \
     tx_bytes = bandwidth_stats.tx_bytes + excluded.tx_bytes";
const INSERT_COUNTERS: &str = "INSERT INTO tenant_traffic \
     (user_id, counters, period_start, period_end, period_bytes) VALUES";
const SET_COUNTERS: &str = "ON CONFLICT (user_id) DO UPDATE SET counters = excluded.counters, \
     period_start = excluded.period_start, period_end = excluded.period_end, \
     period_bytes = excluded.period_bytes";

/// Returns the statement, without the ids of tenants, that deletes their days
/// before a time.
pub(super) fn delete_days(before: i64) -> String {
    format!("DELETE FROM usage_days WHERE day < {before} AND user_id IN")
}

/// The rows to write for a reading.
#[derive(Default)]
pub(super) struct PendingRows {
    /// Rows of `tenant_traffic`.
    counters: Vec<[Value; 5]>,
    /// Rows of each of the [`BUCKET_TABLES`].
    buckets: [Vec<[Value; 3]>; BUCKET_TABLES.len()],
    /// Rows of `usage_days`.
    days: Vec<[Value; 5]>,
    /// Rows of `bandwidth_stats`.
    bandwidth: Vec<[Value; 4]>,
}

impl PendingRows {
    /// Adds the readings of a tenant to its counters. Returns the bytes that it
    /// adds, or `None` if nothing changed. Buckets that `at` is not part of any more are full.
    pub fn apply(
        &mut self,
        tenant: i64,
        counters: &mut TenantCounters,
        readings: &BTreeMap<i64, &StatSample>,
        existing: &HashSet<i64>,
        at: Timestamp,
    ) -> Option<u64> {
        let mut added = Vec::new();
        let mut changed = false;
        for d in &mut counters.devices {
            let Some(s) = readings.get(&d.id) else {
                continue;
            };
            // A recreated interface does not know the handshake and endpoint;
            // the earlier values remain.
            let handshake = s.last_handshake.map(|t| t.0).or(d.handshake);
            let endpoint = s.endpoint.or(d.endpoint);
            changed |= (handshake, endpoint) != (d.handshake, d.endpoint);
            (d.handshake, d.endpoint) = (handshake, endpoint);
            let now = Traffic {
                rx: s.rx_bytes.min(MAX_COUNTER),
                tx: s.tx_bytes.min(MAX_COUNTER),
            };
            changed |= now != d.last;
            // If one of them went back, both have begun at 0 again.
            let since = (now.rx.checked_sub(d.last.rx)).zip(now.tx.checked_sub(d.last.tx));
            let traffic = since.map_or(now, |(rx, tx)| Traffic { rx, tx });
            d.last = now;
            if !traffic.is_zero() {
                d.total.add(traffic);
                added.push((d.id, traffic));
            }
        }
        if !changed {
            return None;
        }
        for (i, span) in SUMMED_SPANS.into_iter().enumerate() {
            let bucket = span.step_of(at).0;
            if bucket != counters.open[i] {
                let full = std::mem::replace(&mut counters.open[i], bucket);
                let sums = counters.devices.iter_mut();
                let sums: Vec<_> = sums
                    .map(|d| (d.id, std::mem::take(&mut d.sums[i])))
                    .collect();
                self.push_bucket(span, full, tenant, &sums);
            }
        }
        self.push_bucket(Span::Hour, Span::Hour.step_of(at).0, tenant, &added);
        let mut all = Traffic::default();
        added.iter().for_each(|(_, traffic)| all.add(*traffic));
        let mut added = added.into_iter().peekable();
        for d in &mut counters.devices {
            if let Some((_, traffic)) = added.next_if(|(id, _)| *id == d.id) {
                d.sums.iter_mut().for_each(|sum| sum.add(traffic));
            }
        }
        // A deleted device remains until its last bucket is full.
        let has_sums = |d: &DeviceCounters| d.sums[..UNREPORTED].iter().any(|b| !b.is_zero());
        counters
            .devices
            .retain(|d| existing.contains(&d.id) || has_sums(d));
        for d in &mut counters.devices {
            if !existing.contains(&d.id) {
                d.handshake = None;
            }
        }
        Some(all.rx.saturating_add(all.tx))
    }

    /// Adds the counters of a tenant with what was counted of its month, to replace the
    /// stored ones.
    pub fn push_counters(
        &mut self,
        tenant: i64,
        counters: &TenantCounters,
        counted: Option<PeriodUse>,
    ) {
        let (start, end, bytes) =
            counted.map_or((0, 0, 0), |c| (c.period.start.0, c.period.end.0, c.bytes));
        self.counters.push([
            tenant.into(),
            counters.encode().into(),
            start.into(),
            end.into(),
            signed(bytes),
        ]);
    }

    /// Adds a row of `bandwidth_stats`.
    pub fn push_bandwidth(&mut self, peer: i64, at: Timestamp, traffic: Traffic) {
        self.bandwidth.push([
            peer.into(),
            at.0.into(),
            signed(traffic.rx),
            signed(traffic.tx),
        ]);
    }

    fn push_bucket(&mut self, span: Span, bucket: i64, tenant: i64, sums: &[(i64, Traffic)]) {
        let shares = encode_shares(sums.iter().copied());
        if shares.is_empty() {
            return;
        }
        if let Some(i) = BUCKET_TABLES.iter().position(|(s, _)| *s == span) {
            self.buckets[i].push([bucket.into(), tenant.into(), shares.into()]);
            return;
        }
        let mut all = Traffic::default();
        sums.iter().for_each(|(_, b)| all.add(*b));
        let (rx, tx) = (signed(all.rx), signed(all.tx));
        self.days
            .push([tenant.into(), bucket.into(), rx, tx, shares.into()]);
    }

    /// Writes the rows.
    pub async fn write(&self, tx: &mut Tx, at: Timestamp) -> Result<()> {
        // If a bucket exists already (the clock went back, or there were two
        // readings within 10 s), the new shares are appended to its shares.
        let concatenate = match tx.connection() {
            Either::Sqlite(_) => sqlite_concatenate,
            Either::Postgres(_) => postgres_concatenate,
        };
        for ((_, table), rows) in BUCKET_TABLES.iter().zip(&self.buckets) {
            let before = format!("INSERT INTO {table} (bucket, user_id, devices) VALUES");
            let after = format!(
                "ON CONFLICT (bucket, user_id) DO UPDATE SET devices = {}",
                concatenate(table)
            );
            batch::write(tx, &before, rows, &after).await?;
        }
        if !self.days.is_empty() {
            let after = format!(
                "ON CONFLICT (user_id, day) DO UPDATE SET \
                   rx_bytes = usage_days.rx_bytes + excluded.rx_bytes, \
                   tx_bytes = usage_days.tx_bytes + excluded.tx_bytes, devices = {}",
                concatenate("usage_days")
            );
            batch::write(tx, INSERT_DAYS, &self.days, &after).await?;
            // Once a day per tenant, along the primary key.
            let tenants: Vec<i64> = self.days.iter().filter_map(|[t, ..]| t.number()).collect();
            let before = delete_days(Span::Year.begin(at).0);
            let _: Vec<(i64,)> = batch::fetch(tx, &before, &tenants, "RETURNING user_id").await?;
        }
        batch::write(
            tx,
            INSERT_BANDWIDTH_STATS,
            &self.bandwidth,
            ADD_BANDWIDTH_STATS,
        )
        .await?;
        batch::write(tx, INSERT_COUNTERS, &self.counters, SET_COUNTERS).await
    }
}

/// SQLite concatenates bytes as text; the cast makes them bytes again.
fn sqlite_concatenate(table: &str) -> String {
    format!("CAST({table}.devices || excluded.devices AS BLOB)")
}

fn postgres_concatenate(table: &str) -> String {
    format!("{table}.devices || excluded.devices")
}

/// Converts to the signed numbers of the database. Sums of capped counters stay
/// far below the limit.
fn signed(n: u64) -> Value {
    Value::Number(i64::try_from(n).unwrap_or(i64::MAX))
}
