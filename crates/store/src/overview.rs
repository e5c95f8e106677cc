//! The data of a tenant's dashboard, read with two statements. No page is read
//! more often, and each statement costs two switches between threads.

use crate::{
    Result, Store, StoreError,
    db::{fetch_all, fetch_optional},
    devices::{DEVICES, DeviceRecord, PeerRow},
    plans::plan_columns,
    quota::{CountedRow, PeriodUse, counted_columns, current},
    statistics::{decode_counters, month_bytes},
    tenants::{TenantRecord, UserRow, user_columns},
};
use domain::{TenantReadScope, Timestamp};

/// The data of a tenant's dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    pub tenant: TenantRecord,
    /// The tenant's devices, oldest first.
    pub devices: Vec<DeviceRecord>,
    /// The bytes since `month_start`, in both directions.
    pub month_bytes: u64,
    /// What was counted of a month; `None` before the first reading.
    counted: Option<PeriodUse>,
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    tenant: UserRow,
    #[sqlx(flatten)]
    counted: CountedRow,
    full_days: i64,
    counters: Option<Vec<u8>>,
}

pub(crate) const OVERVIEW: &str = concat!(
    "SELECT ",
    user_columns!(),
    ", ",
    plan_columns!(),
    ", ",
    counted_columns!(),
    ", (SELECT CAST(COALESCE(SUM(rx_bytes + tx_bytes), 0) AS BIGINT) FROM usage_days \
         WHERE user_id = $1 AND day >= $2) AS full_days, \
       tenant_traffic.counters \
     FROM users JOIN plans ON plans.id = users.plan \
     LEFT JOIN tenant_traffic ON tenant_traffic.user_id = users.id WHERE users.id = $1"
);

impl Overview {
    /// Returns what the tenant has used of its data in the month that contains `now`.
    pub fn used(&self, now: Timestamp) -> PeriodUse {
        current(self.counted, || self.tenant.rule(), now)
    }
}

impl Store {
    /// Returns the data of the tenant's dashboard, for the month that began at
    /// `month_start`.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the tenant was deleted.
    pub async fn overview(
        &self,
        scope: &TenantReadScope,
        month_start: Timestamp,
    ) -> Result<Overview> {
        let tenant = scope.tenant().0;
        let row = async {
            fetch_optional!(self.db.reader(), Row, OVERVIEW, tenant, month_start.0)?
                .ok_or(StoreError::NotFound)
        };
        let devices = async { fetch_all!(self.db.reader(), PeerRow, DEVICES, tenant) };
        let (row, devices) = tokio::try_join!(row, devices)?;
        let counters = decode_counters(tenant, row.counters.as_deref())?;
        Ok(Overview {
            counted: row.counted.counted(),
            tenant: row.tenant.try_into()?,
            devices: devices
                .into_iter()
                .map(|d| d.into_record(&counters))
                .collect::<Result<_>>()?,
            month_bytes: month_bytes(row.full_days, &counters, month_start),
        })
    }
}
