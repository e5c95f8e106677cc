//! Whom a change of a plan would touch.

use crate::{
    Result, Store,
    db::fetch_all,
    quota::{CountedRow, counted_columns, current},
    tenants::{TenantRecord, UserRow, user_columns},
};
use domain::{
    Plan, QuotaState, Timestamp,
    view::{PlanImpact, TenantNames},
};

use super::plan_columns;

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    tenant: UserRow,
    #[sqlx(flatten)]
    counted: CountedRow,
    devices: i64,
}

const TENANTS: &str = concat!(
    "SELECT ",
    user_columns!(),
    ", ",
    plan_columns!(),
    ", ",
    counted_columns!(),
    ", (SELECT COUNT(*) FROM peers WHERE peers.user_id = users.id) AS devices \
     FROM users JOIN plans ON plans.id = users.plan \
     LEFT JOIN tenant_traffic ON tenant_traffic.user_id = users.id \
     WHERE users.plan = $1 ORDER BY users.username"
);

impl Store {
    /// Returns whom it would touch if the plan of that id became this one.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn plan_impact(&self, plan: &Plan, now: Timestamp) -> Result<PlanImpact> {
        let rows = fetch_all!(self.db.reader(), Row, TENANTS, plan.id.as_str())?;
        let mut impact = PlanImpact {
            tenants: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            ..PlanImpact::default()
        };
        for row in rows {
            let tenant = TenantRecord::try_from(row.tenant)?;
            let used = current(row.counted.counted(), || tenant.rule(), now).bytes;
            let name = tenant.name.as_str();
            if row.devices > i64::from(plan.devices) {
                add(&mut impact.over_devices, name);
            }
            let will_be_used_up = QuotaState::of(used, plan).is_used_up();
            match (tenant.quota.is_used_up(), will_be_used_up) {
                (false, true) => add(&mut impact.over_data, name),
                (true, false) => add(&mut impact.reopened, name),
                _ => {}
            }
        }
        Ok(impact)
    }
}

fn add(names: &mut TenantNames, name: &str) {
    names.count = names.count.saturating_add(1);
    if names.first.len() < TenantNames::MAX {
        names.first.push(name.to_owned());
    }
}
