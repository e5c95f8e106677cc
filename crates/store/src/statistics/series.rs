//! Reads traffic for graphs and months.
//!
//! Full buckets have rows; the sums of buckets that are not full yet are in the
//! tenant's counters. Both are read in one snapshot.

use super::{
    buckets::{BUCKET_TABLES, SUMMED_SPANS},
    counters::counters_in,
    traffic_codec::{TenantCounters, Traffic, sum_shares},
};
use crate::{
    Result, Store, StoreError,
    db::{Tx, fetch_all, fetch_optional, unsigned},
};
use domain::{DeviceId, Span, TenantReadScope, Timestamp, TrafficPoint};
use sqlx::AssertSqlSafe;

pub(super) const DAYS: &str = "SELECT day, rx_bytes, tx_bytes, devices FROM usage_days \
     WHERE user_id = $1 AND day >= $2 ORDER BY day";

/// Selects along the primary key, bucket by bucket: the rows are ordered by
/// bucket and then by tenant.
pub(super) fn select_buckets(table: &str) -> String {
    format!(
        "WITH RECURSIVE b (bucket) AS (SELECT CAST($2 AS BIGINT) \
           UNION ALL SELECT bucket + $4 FROM b WHERE bucket < $3) \
         SELECT b.bucket, (SELECT t.devices FROM {table} AS t \
           WHERE t.bucket = b.bucket AND t.user_id = $1) FROM b"
    )
}

impl Store {
    /// Returns the traffic of one device, or of all present and former devices of
    /// the tenant, for a graph that ends at `now`: a point for every step of the
    /// span, oldest first, including steps without traffic.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`], also for another tenant's device.
    pub async fn series(
        &self,
        scope: &TenantReadScope,
        device: Option<DeviceId>,
        span: Span,
        now: Timestamp,
    ) -> Result<Vec<TrafficPoint>> {
        let (begin, step) = (span.begin(now), span.step_millis());
        let mut points: Vec<TrafficPoint> = (0..span.steps() as i64)
            .map(|i| TrafficPoint {
                at: begin.plus_millis(i * step),
                rx_bytes: 0,
                tx_bytes: 0,
            })
            .collect();
        let mut add = |bucket: i64, traffic: Traffic| {
            let i = usize::try_from((bucket - begin.0).div_euclid(step)).ok();
            if let Some(p) = i.and_then(|i| points.get_mut(i)) {
                p.rx_bytes = p.rx_bytes.saturating_add(traffic.rx);
                p.tx_bytes = p.tx_bytes.saturating_add(traffic.tx);
            }
        };
        let mut tx = self.db.snapshot().await?;
        check_exists(&mut tx, scope, device).await?;
        let counters = counters_in(&mut tx, scope).await?;
        let rows = full_buckets(&mut tx, scope, span, now, device).await?;
        tx.commit().await?;
        for (bucket, traffic) in rows {
            add(bucket, traffic);
        }
        if let Some((bucket, traffic)) = open_bucket(&counters, span, device) {
            add(bucket, traffic);
        }
        Ok(points)
    }
}

/// Returns the bytes of the full days since `since` plus those of today.
pub(crate) fn month_bytes(full_days: i64, counters: &TenantCounters, since: Timestamp) -> u64 {
    let open = open_bucket(counters, Span::Year, None).filter(|(day, _)| *day >= since.0);
    let open = open.map_or(0, |(_, b)| b.rx.saturating_add(b.tx));
    unsigned(full_days).saturating_add(open)
}

async fn check_exists(
    tx: &mut Tx,
    scope: &TenantReadScope,
    device: Option<DeviceId>,
) -> Result<()> {
    let tenant = scope.tenant().0;
    let found = match device {
        None => fetch_optional!(
            tx.connection(),
            (i64,),
            "SELECT id FROM users WHERE id = $1",
            tenant
        )?,
        Some(device) => {
            let sql = "SELECT id FROM peers WHERE user_id = $1 AND id = $2";
            fetch_optional!(tx.connection(), (i64,), sql, tenant, device.0)?
        }
    };
    found.map(drop).ok_or(StoreError::NotFound)
}

/// Returns the full buckets of the span with their begin.
async fn full_buckets(
    tx: &mut Tx,
    scope: &TenantReadScope,
    span: Span,
    now: Timestamp,
    device: Option<DeviceId>,
) -> Result<Vec<(i64, Traffic)>> {
    let tenant = scope.tenant().0;
    let (begin, end, step) = (span.begin(now).0, span.step_of(now).0, span.step_millis());
    let share = |table: &str, bucket: i64, devices: &[u8]| {
        let bad = || StoreError::Corrupt(format!("{table}.devices of {bucket} of user {tenant}"));
        sum_shares(devices, device.map(|d| d.0)).ok_or_else(bad)
    };
    let Some((_, table)) = BUCKET_TABLES.iter().find(|(s, _)| *s == span) else {
        let rows = fetch_all!(
            tx.connection(),
            (i64, i64, i64, Vec<u8>),
            DAYS,
            tenant,
            begin
        )?;
        let day = |(day, rx, tx, devices): (i64, i64, i64, Vec<u8>)| {
            // Days of the previous version have no shares of devices.
            let traffic = match device {
                None => Traffic {
                    rx: unsigned(rx),
                    tx: unsigned(tx),
                },
                Some(_) => share("usage_days", day, &devices)?,
            };
            Ok((day, traffic))
        };
        return rows.into_iter().map(day).collect();
    };
    let sql = AssertSqlSafe(select_buckets(table));
    let rows = fetch_all!(
        tx.connection(),
        (i64, Option<Vec<u8>>),
        sql,
        tenant,
        begin,
        end,
        step
    )?;
    let existing = rows.into_iter().filter_map(|(b, d)| d.map(|d| (b, d)));
    existing
        .map(|(b, d)| Ok((b, share(table, b, &d)?)))
        .collect()
}

/// Returns the begin and sum of the bucket that is not full yet, if it has
/// traffic.
fn open_bucket(
    counters: &TenantCounters,
    span: Span,
    device: Option<DeviceId>,
) -> Option<(i64, Traffic)> {
    let i = SUMMED_SPANS.iter().position(|s| *s == span)?;
    let mut sum = Traffic::default();
    for d in &counters.devices {
        if device.is_none_or(|id| id.0 == d.id) {
            sum.add(d.sums[i]);
        }
    }
    (!sum.is_zero()).then_some((counters.open[i], sum))
}
