//! Reads the counters of a tenant.

use super::traffic_codec::TenantCounters;
use crate::{
    Result, Store, StoreError,
    db::{Tx, fetch_optional},
};
use domain::TenantReadScope;

pub(crate) const COUNTERS: &str = "SELECT counters FROM tenant_traffic WHERE user_id = $1";

impl Store {
    /// Returns the tenant's counters; empty ones if nothing was recorded yet.
    pub(crate) async fn counters(&self, scope: &TenantReadScope) -> Result<TenantCounters> {
        let tenant = scope.tenant().0;
        let row = fetch_optional!(self.db.reader(), (Vec<u8>,), COUNTERS, tenant)?;
        decode_counters(tenant, row.as_ref().map(|(b,)| b.as_slice()))
    }
}

/// Does what [`Store::counters`] does, within a transaction.
pub(crate) async fn counters_in(tx: &mut Tx, scope: &TenantReadScope) -> Result<TenantCounters> {
    let tenant = scope.tenant().0;
    let row = fetch_optional!(tx.connection(), (Vec<u8>,), COUNTERS, tenant)?;
    decode_counters(tenant, row.as_ref().map(|(b,)| b.as_slice()))
}

/// Decodes the column `tenant_traffic.counters` of a tenant, if it has a row.
pub(crate) fn decode_counters(tenant: i64, bytes: Option<&[u8]>) -> Result<TenantCounters> {
    let Some(bytes) = bytes else {
        return Ok(TenantCounters::default());
    };
    TenantCounters::decode(bytes)
        .ok_or_else(|| StoreError::Corrupt(format!("tenant_traffic.counters of user {tenant}")))
}
