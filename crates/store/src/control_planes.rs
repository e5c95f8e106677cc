//! Which control planes use the database. Each notes itself every few seconds; none knows
//! of the others but by these rows.

use crate::{
    Result, Store,
    db::{execute, fetch_all},
};
use sqlx::AssertSqlSafe;

/// How long a control plane that is not heard is listed.
const MAX_SILENCE_MILLIS: i64 = 60_000;
/// How long its row stays.
const RETENTION_MILLIS: i64 = 3_600_000;

/// A control plane that was heard lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlaneRecord {
    /// Its name, at random.
    pub id: String,
    /// Where workers reach this one, e.g. `https://203.0.113.7:8443`.
    pub address: Option<String>,
    /// Whether it has a node of its own, which no other control plane sees.
    pub has_node: bool,
    /// How long ago it was heard, in milliseconds.
    pub silent_millis: u64,
}

impl Store {
    /// Notes that this control plane is there. Returns all that were heard within a minute,
    /// itself included, by id. SQLite has no other one, and nothing is written there.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn note_control_plane(
        &self,
        id: &str,
        address: Option<&str>,
        has_node: bool,
    ) -> Result<Vec<ControlPlaneRecord>> {
        if self.is_sqlite() {
            return Ok(vec![ControlPlaneRecord {
                id: id.to_owned(),
                address: address.map(str::to_owned),
                has_node,
                silent_millis: 0,
            }]);
        }
        let now = self.db.now();
        let sql = AssertSqlSafe(format!(
            "INSERT INTO control_planes (id, address, has_node, heard_at) \
             VALUES ($1, $2, $3, {now}) ON CONFLICT (id) DO UPDATE SET \
             address = excluded.address, has_node = excluded.has_node, \
             heard_at = excluded.heard_at"
        ));
        execute!(self.db.writer(), sql, id, address, i64::from(has_node))?;
        let sql = AssertSqlSafe(format!(
            "DELETE FROM control_planes WHERE heard_at < {now} - $1"
        ));
        execute!(self.db.writer(), sql, RETENTION_MILLIS)?;
        self.heard_control_planes().await
    }

    /// Returns the control planes that were heard within a minute, by id. SQLite has no rows
    /// of them.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn heard_control_planes(&self) -> Result<Vec<ControlPlaneRecord>> {
        let now = self.db.now();
        let sql = AssertSqlSafe(format!(
            "SELECT id, address, has_node, {now} - heard_at FROM control_planes \
             WHERE heard_at > {now} - $1 ORDER BY id"
        ));
        type Row = (String, Option<String>, i64, i64);
        let rows = fetch_all!(self.db.writer(), Row, sql, MAX_SILENCE_MILLIS)?;
        let record = |(id, address, has_node, silent): Row| ControlPlaneRecord {
            id,
            address,
            has_node: has_node != 0,
            silent_millis: crate::db::unsigned(silent),
        };
        Ok(rows.into_iter().map(record).collect())
    }

    /// Removes a control plane that ends in order, and gives its leases back.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn remove_control_plane(&self, id: &str) -> Result<()> {
        if self.is_sqlite() {
            return Ok(());
        }
        let sql = "DELETE FROM control_planes WHERE id = $1";
        execute!(self.db.writer(), sql, id)?;
        self.release_leases(id).await
    }
}
