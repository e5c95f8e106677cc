//! Leases: who does what only one control plane does at a time. A lease ends by itself a
//! while after its holder has stopped, by the database's clock.
//!
//! A holder that was stopped and goes on may act for a moment beside the next one. So a
//! lease only says who does the regular work; what must happen once is decided where it is
//! stored ([`crate::statistics`], [`crate::quota`]).

use crate::{Result, Store, db::Either, db::unsigned};
use sqlx::AssertSqlSafe;
use std::{collections::BTreeMap, time::Duration};

/// A lease that is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseEpoch {
    /// Rises with each other holder.
    pub number: u64,
    /// How long before this renewal the one before it was, by any holder, or that the
    /// lease was given back; `None` for the first.
    pub unattended: Option<Duration>,
}

impl Store {
    /// Takes a lease or renews it. Returns `None` while another holder has it. With SQLite
    /// there is no other one, and nothing is written.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<LeaseEpoch>> {
        let held = self.leases(&[name.to_owned()], holder, ttl).await?;
        Ok(held.get(name).copied())
    }

    /// Does what [`Store::lease`] does for several in one statement. Returns those that are
    /// held, by name.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn leases(
        &self,
        names: &[String],
        holder: &str,
        ttl: Duration,
    ) -> Result<BTreeMap<String, LeaseEpoch>> {
        let pool = match self.db.writer().uncounted() {
            Either::Sqlite(_) => {
                let held = names.iter().map(|n| (n.clone(), LeaseEpoch::default()));
                return Ok(held.collect());
            }
            Either::Postgres(pool) => pool,
        };
        let now = self.db.now();
        // The rows are locked in the order of their names, so that two control planes do
        // not wait for each other. `excluded.renewed` may be from before the wait.
        let sql = AssertSqlSafe(format!(
            "INSERT INTO leases (name, holder, epoch, until, renewed) \
             SELECT name, $2, 1, {now} + $3, {now} FROM UNNEST($1) AS wanted (name) ORDER BY name \
             ON CONFLICT (name) DO UPDATE SET \
             epoch = leases.epoch + CASE WHEN leases.holder = excluded.holder THEN 0 ELSE 1 END, \
             unattended = GREATEST(0, {now} - leases.renewed), \
             holder = excluded.holder, until = {now} + $3, renewed = {now} \
             WHERE leases.holder = excluded.holder OR leases.until <= {now} \
             RETURNING name, epoch, unattended"
        ));
        let rows: Vec<(String, i64, Option<i64>)> = sqlx::query_as(sql)
            .bind(names)
            .bind(holder)
            .bind(millis(ttl))
            .fetch_all(pool)
            .await?;
        let held = |(name, number, unattended): (String, i64, Option<i64>)| {
            let unattended = unattended.map(|ms| Duration::from_millis(unsigned(ms)));
            let epoch = LeaseEpoch {
                number: unsigned(number),
                unattended,
            };
            (name, epoch)
        };
        Ok(rows.into_iter().map(held).collect())
    }

    /// Returns the holder of each lease that has not ended. With SQLite there are none.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn lease_holders(&self) -> Result<BTreeMap<String, String>> {
        let Either::Postgres(pool) = self.db.writer().uncounted() else {
            return Ok(BTreeMap::new());
        };
        let now = self.db.now();
        let sql = AssertSqlSafe(format!(
            "SELECT name, holder FROM leases WHERE until > {now} AND holder <> ''"
        ));
        let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(pool).await?;
        Ok(rows.into_iter().collect())
    }

    /// Gives all leases of a holder back.
    pub(crate) async fn release_leases(&self, holder: &str) -> Result<()> {
        let Either::Postgres(pool) = self.db.writer().uncounted() else {
            return Ok(());
        };
        let now = self.db.now();
        let sql = AssertSqlSafe(format!(
            "UPDATE leases SET holder = '', until = {now}, renewed = {now} WHERE holder = $1"
        ));
        sqlx::query(sql).bind(holder).execute(pool).await?;
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
