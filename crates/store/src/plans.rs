//! Plans: what tenants can sign up for.

use crate::{
    Result, Store, StoreError,
    db::{Tx, fetch_all, fetch_optional},
};
use domain::Plan;

/// The columns of a plan in any query that joins `plans`.
#[derive(Clone, sqlx::FromRow)]
pub(crate) struct PlanRow {
    plan_id: String,
    plan_name: String,
    plan_devices: i64,
    monthly_bytes: Option<i64>,
    speed_bps: Option<i64>,
    recommended: i64,
}

macro_rules! plan_columns {
    () => {
        "plans.id AS plan_id, plans.name AS plan_name, plans.devices AS plan_devices, \
         plans.monthly_bytes, plans.speed_bps, plans.recommended"
    };
}
pub(crate) use plan_columns;

impl TryFrom<PlanRow> for Plan {
    type Error = StoreError;
    fn try_from(r: PlanRow) -> Result<Self> {
        let number = |n: i64| {
            u64::try_from(n).map_err(|_| StoreError::Corrupt(format!("plan {}", r.plan_id)))
        };
        Ok(Self {
            devices: u16::try_from(r.plan_devices)
                .map_err(|_| StoreError::Corrupt(format!("plan {}", r.plan_id)))?,
            monthly_bytes: r.monthly_bytes.map(number).transpose()?,
            speed_bps: r.speed_bps.map(number).transpose()?,
            recommended: r.recommended != 0,
            id: r.plan_id,
            name: r.plan_name,
        })
    }
}

const ONE: &str = concat!("SELECT ", plan_columns!(), " FROM plans WHERE id = $1");

/// Does what [`Store::plan`] does, within a transaction.
pub(crate) async fn plan_in(tx: &mut Tx, id: &str) -> Result<Option<Plan>> {
    let row = fetch_optional!(tx.connection(), PlanRow, ONE, id)?;
    row.map(Plan::try_from).transpose()
}

impl Store {
    /// Lists every plan in the order of the landing page.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn plans(&self) -> Result<Vec<Plan>> {
        let sql = concat!(
            "SELECT ",
            plan_columns!(),
            " FROM plans ORDER BY position, id"
        );
        let rows = fetch_all!(self.db.reader(), PlanRow, sql)?;
        rows.into_iter().map(Plan::try_from).collect()
    }

    /// Finds a plan by its id.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn plan(&self, id: &str) -> Result<Option<Plan>> {
        let row = fetch_optional!(self.db.reader(), PlanRow, ONE, id)?;
        row.map(Plan::try_from).transpose()
    }
}
