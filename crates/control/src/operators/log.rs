//! The logs as an operator reads them page by page.

use super::{Operators, names::NodeNames};
use crate::{events, failures::store_failure};
use domain::{
    Failure, OperatorScope,
    view::{AuditRow, EventRow},
};

/// An entry of a log with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered<T> {
    pub id: i64,
    pub row: T,
}

impl Operators<'_> {
    /// Returns at most `limit` entries of the audit log, newest first, from before the one
    /// with the id `before`.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn audit_before(
        self,
        _scope: &OperatorScope,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Numbered<AuditRow>>, Failure> {
        let rows = self.0.store.audit_before(before, limit).await;
        let rows = rows.map_err(store_failure)?.into_iter();
        Ok(rows.map(|(id, row)| Numbered { id, row }).collect())
    }

    /// Returns at most `limit` events of all nodes, those recorded last first, from before
    /// the one with the id `before`.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn events_before(
        self,
        _scope: &OperatorScope,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Numbered<EventRow>>, Failure> {
        let store = &self.0.store;
        let read = tokio::try_join!(store.events_before(before, limit), store.nodes());
        let (rows, nodes) = read.map_err(store_failure)?;
        let names = NodeNames::of(nodes.iter());
        let numbered = rows.into_iter().map(|(id, event)| Numbered {
            id,
            row: events::operator_row(event, |node| names.get(node)),
        });
        Ok(numbered.collect())
    }
}
