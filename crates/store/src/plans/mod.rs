//! Plans: what tenants can sign up for. This file reads them.

mod changes;
mod impact;

pub use changes::ChangedPlan;

use crate::{
    Result, Store, StoreError,
    db::{Tx, fetch_all, fetch_optional},
};
use domain::{AtLimit, Plan, view::PlanUse};

/// The columns of a plan in any query that joins `plans`.
#[derive(Clone, sqlx::FromRow)]
pub(crate) struct PlanRow {
    plan_id: String,
    plan_name: String,
    plan_devices: i64,
    monthly_bytes: Option<i64>,
    down_bps: Option<i64>,
    up_bps: Option<i64>,
    at_limit: String,
    slow_bps: i64,
    month_day: i64,
    recommended: i64,
    visible: i64,
    plan_position: i64,
}

macro_rules! plan_columns {
    () => {
        "plans.id AS plan_id, plans.name AS plan_name, plans.devices AS plan_devices, \
         plans.monthly_bytes, plans.down_bps, plans.up_bps, plans.at_limit, plans.slow_bps, \
         plans.month_day, plans.recommended, plans.visible, plans.position AS plan_position"
    };
}
pub(crate) use plan_columns;

impl TryFrom<PlanRow> for Plan {
    type Error = StoreError;
    fn try_from(r: PlanRow) -> Result<Self> {
        let bad = || StoreError::Corrupt(format!("plan {}", r.plan_id));
        let number = |n: i64| u64::try_from(n).map_err(|_| bad());
        Ok(Self {
            devices: u16::try_from(r.plan_devices).map_err(|_| bad())?,
            monthly_bytes: r.monthly_bytes.map(number).transpose()?,
            down_bps: r.down_bps.map(number).transpose()?,
            up_bps: r.up_bps.map(number).transpose()?,
            at_limit: r.at_limit.parse::<AtLimit>().map_err(|_| bad())?,
            slow_bps: number(r.slow_bps)?,
            month_day: u8::try_from(r.month_day).map_err(|_| bad())?,
            recommended: r.recommended != 0,
            visible: r.visible != 0,
            position: u32::try_from(r.plan_position).map_err(|_| bad())?,
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
    /// Lists every plan in the order of the landing page, hidden ones too.
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

    /// Lists every plan with the number of its tenants.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn plan_uses(&self) -> Result<Vec<PlanUse>> {
        #[derive(sqlx::FromRow)]
        struct Row {
            #[sqlx(flatten)]
            plan: PlanRow,
            tenants: i64,
        }
        let sql = concat!(
            "SELECT ",
            plan_columns!(),
            ", (SELECT COUNT(*) FROM users WHERE users.plan = plans.id) AS tenants \
             FROM plans ORDER BY position, id"
        );
        let rows = fetch_all!(self.db.reader(), Row, sql)?;
        let listed = |r: Row| {
            Ok(PlanUse {
                plan: r.plan.try_into()?,
                tenants: u32::try_from(r.tenants).unwrap_or(u32::MAX),
            })
        };
        rows.into_iter().map(listed).collect()
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
