//! Removes old traffic and the traffic of deleted tenants.

use super::buckets::BUCKET_TABLES;
use crate::{Result, Store, db::execute};
use domain::Timestamp;

/// How long rows stay in `bandwidth_stats`.
const BANDWIDTH_STATS_MILLIS: i64 = 7 * 86_400_000;
/// The number of rows of `bandwidth_stats` removed by one call.
const PRUNE_BATCH: i64 = 2_000;

pub(super) const PRUNE_BANDWIDTH_STATS: &str = "DELETE FROM bandwidth_stats WHERE id IN \
     (SELECT id FROM bandwidth_stats WHERE recorded_at < $1 LIMIT $2)";

pub(super) fn prune_buckets(table: &str) -> String {
    format!(
        "DELETE FROM {table} WHERE bucket < $1 \
           AND bucket <= (SELECT MIN(bucket) FROM {table}) + $2"
    )
}

/// Deletes along the primary key, bucket by bucket: the table has no index by
/// tenant.
pub(super) fn delete_tenant_buckets(table: &str) -> String {
    format!(
        "DELETE FROM {table} WHERE user_id = $1 AND bucket IN \
           (WITH RECURSIVE b (bucket) AS (SELECT CAST($2 AS BIGINT) \
              UNION ALL SELECT bucket + $4 FROM b WHERE bucket < $3) SELECT bucket FROM b)"
    )
}

impl Store {
    /// Removes some of the rows that are too old for any graph: at most two
    /// buckets per table, so that other writers do not wait long. All tables
    /// share one transaction and so one fsync. One call per reading keeps up and
    /// works off a backlog. Returns the number of removed rows.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_statistics(&self, now: Timestamp) -> Result<u64> {
        let before = now.0.saturating_sub(BANDWIDTH_STATS_MILLIS);
        let mut tx = self.db.begin().await?;
        let mut removed = execute!(tx.connection(), PRUNE_BANDWIDTH_STATS, before, PRUNE_BATCH)?;
        for (span, table) in BUCKET_TABLES {
            let sql = sqlx::AssertSqlSafe(prune_buckets(table));
            let (begin, step) = (span.begin(now).0, span.step_millis());
            removed += execute!(tx.connection(), sql, begin, step)?;
        }
        tx.commit().await?;
        Ok(removed)
    }

    /// Removes the full buckets of a deleted tenant. Nothing depends on it: the
    /// tenant's id is never reused, and rows that remain are pruned later.
    pub(crate) async fn delete_traffic(&self, tenant: i64, now: Timestamp) -> Result<()> {
        for (span, table) in BUCKET_TABLES {
            let sql = sqlx::AssertSqlSafe(delete_tenant_buckets(table));
            let (begin, end) = (span.begin(now).0, span.step_of(now).0);
            let step = span.step_millis();
            execute!(self.db.writer(), sql, tenant, begin, end, step)?;
        }
        Ok(())
    }
}
