//! What went through, read: graphs, days, months.
//!
//! Full buckets have their rows; the sums of those that are not full yet are in
//! the tenant's counters. Both are read at one moment.

use crate::{
    Result, Store, StoreError,
    db::{Tx, fetch_all, fetch_optional},
    packed::{Bytes, Counters, share_of},
    rollup::{SUMMED, TABLES},
    statistics::decode,
};
use domain::{DeviceId, Span, TenantScope, Timestamp, TrafficPoint};
use sqlx::AssertSqlSafe;

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

pub(crate) const COUNTERS: &str = "SELECT counters FROM tenant_traffic WHERE user_id = $1";
pub(crate) const DAYS: &str = "SELECT day, rx_bytes, tx_bytes, devices FROM usage_days \
     WHERE user_id = $1 AND day >= $2 ORDER BY day";

/// By the key, bucket for bucket: the tenants of a bucket stand together, not
/// the buckets of a tenant.
pub(crate) fn buckets(table: &str) -> String {
    format!(
        "WITH RECURSIVE b (bucket) AS (SELECT CAST($2 AS BIGINT) \
           UNION ALL SELECT bucket + $4 FROM b WHERE bucket < $3) \
         SELECT b.bucket, (SELECT t.devices FROM {table} AS t \
           WHERE t.bucket = b.bucket AND t.user_id = $1) FROM b"
    )
}

impl Store {
    /// The bytes of one device, or of all devices the tenant has or had, for a
    /// graph that ends with `now`: every step of the span, oldest first, those
    /// without traffic too.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also where the device is another tenant's.
    pub async fn series(
        &self,
        scope: &TenantScope,
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
        let mut add = |bucket: i64, bytes: Bytes| {
            let i = usize::try_from((bucket - begin.0).div_euclid(step)).ok();
            if let Some(p) = i.and_then(|i| points.get_mut(i)) {
                p.rx_bytes = p.rx_bytes.saturating_add(bytes.rx);
                p.tx_bytes = p.tx_bytes.saturating_add(bytes.tx);
            }
        };
        let mut tx = self.db.snapshot().await?;
        exists(&mut tx, scope, device).await?;
        let counters = counters_in(&mut tx, scope).await?;
        let rows = full_buckets(&mut tx, scope, span, now, device).await?;
        tx.commit().await?;
        for (bucket, bytes) in rows {
            add(bucket, bytes);
        }
        if let Some((bucket, bytes)) = open_sum(&counters, span, device) {
            add(bucket, bytes);
        }
        Ok(points)
    }

    /// The tenant's bytes by day, oldest first; days without traffic are not
    /// listed. Kept for a year.
    ///
    /// # Errors
    /// What the database said.
    pub async fn usage(&self, scope: &TenantScope, since: Timestamp) -> Result<Vec<UsageDay>> {
        let mut tx = self.db.snapshot().await?;
        let counters = counters_in(&mut tx, scope).await?;
        let sql = "SELECT day, rx_bytes, tx_bytes FROM usage_days \
                   WHERE user_id = $1 AND day >= $2 ORDER BY day";
        let rows = fetch_all!(tx.on(), (i64, i64, i64), sql, scope.tenant().0, since.0)?;
        tx.commit().await?;
        let mut days: Vec<UsageDay> = rows
            .into_iter()
            .map(|(day, rx, tx)| UsageDay {
                day: Timestamp(day),
                rx_bytes: unsigned(rx),
                tx_bytes: unsigned(tx),
            })
            .collect();
        let open = open_sum(&counters, Span::Year, None);
        if let Some((day, b)) = open.filter(|(day, _)| *day >= since.0) {
            // A day can have both: a clock went back over midnight, or the
            // version before had begun it.
            match days.iter_mut().find(|d| d.day.0 == day) {
                Some(d) => {
                    d.rx_bytes = d.rx_bytes.saturating_add(b.rx);
                    d.tx_bytes = d.tx_bytes.saturating_add(b.tx);
                }
                None => days.push(UsageDay {
                    day: Timestamp(day),
                    rx_bytes: b.rx,
                    tx_bytes: b.tx,
                }),
            }
            days.sort_unstable_by_key(|d| d.day);
        }
        Ok(days)
    }

    /// The tenant's counters; none where nothing was recorded yet.
    pub(crate) async fn counters(&self, scope: &TenantScope) -> Result<Counters> {
        let tenant = scope.tenant().0;
        let row = fetch_optional!(self.db.reader(), (Vec<u8>,), COUNTERS, tenant)?;
        decode(tenant, row.as_ref().map(|(b,)| b.as_slice()))
    }
}

/// The same as [`Store::counters`] within a transaction.
pub(crate) async fn counters_in(tx: &mut Tx, scope: &TenantScope) -> Result<Counters> {
    let tenant = scope.tenant().0;
    let row = fetch_optional!(tx.on(), (Vec<u8>,), COUNTERS, tenant)?;
    decode(tenant, row.as_ref().map(|(b,)| b.as_slice()))
}

/// Bytes of the days since `since` that are over, with those of today.
pub(crate) fn month_bytes(full_days: i64, counters: &Counters, since: Timestamp) -> u64 {
    let open = open_sum(counters, Span::Year, None).filter(|(day, _)| *day >= since.0);
    let open = open.map_or(0, |(_, b)| b.rx.saturating_add(b.tx));
    unsigned(full_days).saturating_add(open)
}

async fn exists(tx: &mut Tx, scope: &TenantScope, device: Option<DeviceId>) -> Result<()> {
    let tenant = scope.tenant().0;
    let found = match device {
        None => fetch_optional!(
            tx.on(),
            (i64,),
            "SELECT id FROM users WHERE id = $1",
            tenant
        )?,
        Some(device) => {
            let sql = "SELECT id FROM peers WHERE user_id = $1 AND id = $2";
            fetch_optional!(tx.on(), (i64,), sql, tenant, device.0)?
        }
    };
    found.map(drop).ok_or(StoreError::NotFound)
}

async fn full_buckets(
    tx: &mut Tx,
    scope: &TenantScope,
    span: Span,
    now: Timestamp,
    device: Option<DeviceId>,
) -> Result<Vec<(i64, Bytes)>> {
    let tenant = scope.tenant().0;
    let (begin, end, step) = (span.begin(now).0, span.step_of(now).0, span.step_millis());
    let share = |what: &str, bucket: i64, devices: &[u8]| {
        let bad = || StoreError::Corrupt(format!("{what}.devices of {bucket} of user {tenant}"));
        share_of(devices, device.map(|d| d.0)).ok_or_else(bad)
    };
    let Some((_, table)) = TABLES.iter().find(|(s, _)| *s == span) else {
        let rows = fetch_all!(tx.on(), (i64, i64, i64, Vec<u8>), DAYS, tenant, begin)?;
        let day = |(day, rx, tx, devices): (i64, i64, i64, Vec<u8>)| {
            // The version before did not tell the devices of a day apart.
            let bytes = match device {
                None => Bytes {
                    rx: unsigned(rx),
                    tx: unsigned(tx),
                },
                Some(_) => share("usage_days", day, &devices)?,
            };
            Ok((day, bytes))
        };
        return rows.into_iter().map(day).collect();
    };
    let sql = AssertSqlSafe(buckets(table));
    let rows = fetch_all!(
        tx.on(),
        (i64, Option<Vec<u8>>),
        sql,
        tenant,
        begin,
        end,
        step
    )?;
    let there = rows.into_iter().filter_map(|(b, d)| d.map(|d| (b, d)));
    there.map(|(b, d)| Ok((b, share(table, b, &d)?))).collect()
}

/// The bucket that is not full yet, if the span has one apart from its rows.
fn open_sum(c: &Counters, span: Span, device: Option<DeviceId>) -> Option<(i64, Bytes)> {
    let i = SUMMED.iter().position(|s| *s == span)?;
    let mut sum = Bytes::default();
    for d in &c.devices {
        if device.is_none_or(|id| id.0 == d.id) {
            sum.add(d.sums[i]);
        }
    }
    (!sum.is_zero()).then_some((c.open[i], sum))
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
