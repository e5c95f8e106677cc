//! What the audit log says of an account.

use crate::{AuditFilter, Result, Store, TicketHolder};
use domain::view::{ActivityRow, AuditRow};

impl Store {
    /// Lists the newest entries about an account, newest first; of an operator, what it did to
    /// its own.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn activity(
        &self,
        holder: TicketHolder,
        logged: &str,
        limit: u32,
    ) -> Result<Vec<ActivityRow>> {
        let rows = match holder {
            TicketHolder::Tenant(tenant) => {
                let filter = AuditFilter {
                    tenant: Some(tenant),
                    ..AuditFilter::default()
                };
                self.audit_matching(&filter, i64::MAX, limit).await?
            }
            TicketHolder::Operator(_) => self.audit_of_operator(logged, limit).await?,
        };
        let row = |(_, row): (i64, AuditRow)| ActivityRow {
            at: row.at,
            actor: row.actor,
            action: row.action,
            object: row.object,
            detail: row.detail,
            origin: row.origin,
        };
        Ok(rows.into_iter().map(row).collect())
    }
}
