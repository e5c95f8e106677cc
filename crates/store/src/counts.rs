//! How much there is in the whole installation: a few numbers for the operator's metrics.

use crate::{
    Result, Store, StoreError, TenantState,
    db::{fetch_all, fetch_optional, unsigned},
};
use domain::{NodeId, QuotaState};
use std::collections::BTreeMap;

/// How much there is in the whole installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallationCounts {
    /// The tenants, by state and by what follows from their data of the month.
    pub tenants: Vec<(TenantState, QuotaState, u64)>,
    pub devices: u64,
    /// Each node's generation.
    pub generations: BTreeMap<NodeId, u64>,
    /// Moves of tenants that are not finished.
    pub moves: u64,
}

impl Store {
    /// Counts what there is. The database reads two indexes for it, so it is not for every
    /// request.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn installation_counts(&self) -> Result<InstallationCounts> {
        let sql = "SELECT state, quota_state, COUNT(*) FROM users GROUP BY state, quota_state";
        let tenants = fetch_all!(self.db.reader(), (String, String, i64), sql)?;
        let corrupt = || StoreError::Corrupt("users.state or users.quota_state".to_owned());
        let tenants = tenants.into_iter().map(|(state, quota, count)| {
            let state = TenantState::parse(&state).ok_or_else(corrupt)?;
            let quota = QuotaState::parse(&quota).ok_or_else(corrupt)?;
            Ok((state, quota, unsigned(count)))
        });
        let tenants = tenants.collect::<Result<_>>()?;
        let sql = "SELECT (SELECT COUNT(*) FROM peers), (SELECT COUNT(*) FROM moves)";
        let row = fetch_optional!(self.db.reader(), (i64, i64), sql)?;
        let (devices, moves) = row.unwrap_or_default();
        let sql = "SELECT id, generation FROM nodes";
        let generations = fetch_all!(self.db.reader(), (i64, i64), sql)?.into_iter();
        Ok(InstallationCounts {
            tenants,
            devices: unsigned(devices),
            generations: generations
                .map(|(id, generation)| (NodeId(id), unsigned(generation)))
                .collect(),
            moves: unsigned(moves),
        })
    }
}
