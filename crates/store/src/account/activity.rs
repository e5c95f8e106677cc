//! What the audit log says of an account.

use crate::{Result, Store, TicketHolder, db::fetch_all};
use domain::{Timestamp, view::ActivityRow};

type Row = (i64, String, String, String, String, String);

pub(crate) const OF_TENANT: &str = "SELECT at, actor, action, object, detail, origin \
     FROM audit_log WHERE user_id = $1 ORDER BY id DESC LIMIT $2";
/// What an operator did to its own account.
const OF_OPERATOR: &str = "SELECT at, actor, action, object, detail, origin FROM audit_log \
     WHERE actor = $1 AND object = $1 ORDER BY id DESC LIMIT $2";

impl Store {
    /// Lists the newest entries about an account, newest first.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn activity(
        &self,
        holder: TicketHolder,
        logged: &str,
        limit: u32,
    ) -> Result<Vec<ActivityRow>> {
        let limit = i64::from(limit);
        let rows = match holder {
            TicketHolder::Tenant(id) => fetch_all!(self.db.reader(), Row, OF_TENANT, id.0, limit)?,
            TicketHolder::Operator(_) => {
                fetch_all!(self.db.reader(), Row, OF_OPERATOR, logged, limit)?
            }
        };
        let row = |(at, actor, action, object, detail, origin)| ActivityRow {
            at: Timestamp(at),
            actor,
            action,
            object,
            detail,
            origin,
        };
        Ok(rows.into_iter().map(row).collect())
    }
}
