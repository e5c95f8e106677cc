//! The order of a node's readings. Each control plane reads counters and may store them; one
//! that was stopped between the two must not store an old reading behind a newer one.

use crate::{
    Result, Store,
    db::{Tx, execute, fetch_optional, unsigned},
};
use domain::NodeId;
use protocol::ReadingOrder;
use sqlx::AssertSqlSafe;

/// After this time without a stored reading an older one is stored all the same: the clock
/// of a virtual machine that was put back to a snapshot is behind for as long as that was
/// ago.
const MAX_WAIT_MILLIS: i64 = 600_000;
/// The length of the names of former boots, about five of them.
const MAX_FORMER: i64 = 200;

impl Store {
    /// Returns when the last reading of a node was made that is stored; `None` if that is
    /// not known.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn last_reading(&self, node: NodeId) -> Result<Option<ReadingOrder>> {
        let sql = "SELECT boot, nanos FROM node_readings WHERE node_id = $1";
        let row: Option<(String, i64)> = fetch_optional!(self.db.reader(), _, sql, node.0)?;
        let order = row.map(|(boot, nanos)| ReadingOrder {
            boot,
            nanos: unsigned(nanos),
        });
        // A node that does not say when it reads leaves an empty name.
        Ok(order.filter(|order| !order.boot.is_empty()))
    }

    /// Locks the order of a node's readings until the end of the transaction, and notes this
    /// one. Returns whether it is newer than what is stored: a later one of the same boot,
    /// or one of a boot that is not a former one. A reading without an order is always newer.
    pub(super) async fn note_reading(
        &self,
        tx: &mut Tx,
        node: NodeId,
        taken: Option<&ReadingOrder>,
    ) -> Result<bool> {
        let now = self.db.now();
        let Some(taken) = taken else {
            let sql = AssertSqlSafe(format!(
                "INSERT INTO node_readings (node_id, boot, nanos, former, stored_at) \
                 VALUES ($1, '', 0, '', {now}) \
                 ON CONFLICT (node_id) DO UPDATE SET node_id = excluded.node_id"
            ));
            return execute!(tx.connection(), sql, node.0).map(|_| true);
        };
        let sql = AssertSqlSafe(format!(
            "INSERT INTO node_readings AS r (node_id, boot, nanos, former, stored_at) \
             VALUES ($1, $2, $3, '', {now}) ON CONFLICT (node_id) DO UPDATE SET \
             former = CASE WHEN r.boot = excluded.boot THEN r.former \
                      ELSE SUBSTR(r.boot || ' ' || r.former, 1, {MAX_FORMER}) END, \
             boot = excluded.boot, nanos = excluded.nanos, stored_at = {now} \
             WHERE CASE WHEN r.boot = excluded.boot THEN r.nanos < excluded.nanos \
                   ELSE ' ' || r.former || ' ' NOT LIKE '% ' || excluded.boot || ' %' END \
             OR r.stored_at < {now} - $4"
        ));
        let nanos = i64::try_from(taken.nanos).unwrap_or(i64::MAX);
        let noted = execute!(
            tx.connection(),
            sql,
            node.0,
            taken.boot.as_str(),
            nanos,
            MAX_WAIT_MILLIS
        )?;
        Ok(noted > 0)
    }
}
