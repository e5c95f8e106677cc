//! All that a tenant's dashboard shows, in two statements: no page is read more
//! often, and each statement is two threads waking each other.

use crate::{
    Result, Store, StoreError,
    db::{fetch_all, fetch_optional},
    devices::{DEVICES, DeviceRecord, DeviceRow},
    plans::plan_columns,
    series::month_bytes,
    statistics::decode,
    tenants::{TenantRecord, TenantRow, tenant_columns},
};
use domain::{TenantScope, Timestamp};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The tenant.
    pub tenant: TenantRecord,
    /// Their devices, oldest first.
    pub devices: Vec<DeviceRecord>,
    /// Bytes since the month began, both ways.
    pub month_bytes: u64,
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    tenant: TenantRow,
    full_days: i64,
    counters: Option<Vec<u8>>,
}

pub(crate) const OVERVIEW: &str = concat!(
    "SELECT ",
    tenant_columns!(),
    ", ",
    plan_columns!(),
    ", (SELECT CAST(COALESCE(SUM(rx_bytes + tx_bytes), 0) AS BIGINT) FROM usage_days \
         WHERE user_id = $1 AND day >= $2) AS full_days, \
       (SELECT counters FROM tenant_traffic WHERE user_id = $1) AS counters \
     FROM users JOIN plans ON plans.id = users.plan WHERE users.id = $1"
);

impl Store {
    /// What the tenant's dashboard shows; the month is the one that began then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] once the tenant is gone.
    pub async fn overview(&self, scope: &TenantScope, month_start: Timestamp) -> Result<Overview> {
        let tenant = scope.tenant().0;
        let row = async {
            fetch_optional!(self.db.reader(), Row, OVERVIEW, tenant, month_start.0)?
                .ok_or(StoreError::NotFound)
        };
        let devices = async { fetch_all!(self.db.reader(), DeviceRow, DEVICES, tenant) };
        let (row, devices) = tokio::try_join!(row, devices)?;
        let counters = decode(tenant, row.counters.as_deref())?;
        Ok(Overview {
            tenant: row.tenant.try_into()?,
            devices: devices
                .into_iter()
                .map(|d| d.with(&counters))
                .collect::<Result<_>>()?,
            month_bytes: month_bytes(row.full_days, &counters, month_start),
        })
    }
}
