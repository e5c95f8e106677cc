//! A tenant's plan and time zone.

use crate::{
    Committed, QuotaChange, Result, Store, StoreError, audit,
    db::{Tx, execute, fetch_optional},
    nodes::{PendingChange, begin_change},
    plans::{plan_columns, plan_in},
    quota::{self, Generation},
    tenants::{TenantRecord, UserRow, user_columns},
};
use domain::{PeriodRule, TenantScope, Timestamp};

impl Store {
    /// Gives a tenant another plan, at once: the month goes on with what is used of it.
    /// Devices above a lower number stay. Returns the change of its quota's state, if
    /// there is one.
    ///
    /// # Errors
    /// Returns [`StoreError::PlanUnknown`], or [`StoreError::NotFound`] if the tenant
    /// was deleted.
    pub async fn set_plan(
        &self,
        scope: &TenantScope,
        plan: &str,
        now: Timestamp,
    ) -> Result<Committed<Vec<QuotaChange>>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        let plan = plan_in(&mut tx, plan)
            .await?
            .ok_or(StoreError::PlanUnknown)?;
        let before = tenant_in(&mut tx, scope).await?.plan;
        if before.id == plan.id {
            return Ok(pending.unchanged(Vec::new()));
        }
        let tenant = scope.tenant().0;
        let sql = "UPDATE users SET plan = $2 WHERE id = $1";
        execute!(tx.connection(), sql, tenant, plan.id.as_str())?;
        if before.month_day != plan.month_day {
            let (node, _) = pending.generation();
            quota::apply_day(&mut tx, node, &[tenant], now).await?;
        }
        let quotas = settle(&mut tx, pending, tenant, now).await?;
        let object = scope.name().to_string();
        let detail = format!("{} to {}", before.id, plan.id);
        audit::write_scoped(&mut tx, scope, now, "tenant.plan", object, detail).await?;
        tx.commit().await?;
        Ok(pending.committed(quotas))
    }

    /// Sets the time zone in which a tenant's months begin. The current one ends on the
    /// same date there. The caller has checked the name.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the tenant was deleted.
    pub async fn set_time_zone(
        &self,
        scope: &TenantScope,
        time_zone: &str,
        now: Timestamp,
    ) -> Result<Committed<Vec<QuotaChange>>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        let record = tenant_in(&mut tx, scope).await?;
        if record.time_zone == time_zone {
            return Ok(pending.unchanged(Vec::new()));
        }
        let tenant = scope.tenant().0;
        let sql = "UPDATE users SET time_zone = $2 WHERE id = $1";
        execute!(tx.connection(), sql, tenant, time_zone)?;
        let to = PeriodRule::new(time_zone, record.plan.month_day);
        quota::move_period(&mut tx, tenant, &record.rule(), &to, now).await?;
        let quotas = settle(&mut tx, pending, tenant, now).await?;
        let object = scope.name().to_string();
        let detail = format!("{} to {time_zone}", record.time_zone);
        audit::write_scoped(&mut tx, scope, now, "tenant.time_zone", object, detail).await?;
        tx.commit().await?;
        Ok(pending.committed(quotas))
    }
}

async fn settle(
    tx: &mut Tx,
    pending: PendingChange,
    tenant: i64,
    now: Timestamp,
) -> Result<Vec<QuotaChange>> {
    let (node, generation) = pending.generation();
    let generation = i64::try_from(generation).unwrap_or(i64::MAX);
    let mut generation = Generation::of_change(node, generation);
    quota::settle_in(tx, &mut generation, &[tenant], now).await
}

async fn tenant_in(tx: &mut Tx, scope: &TenantScope) -> Result<TenantRecord> {
    let sql = concat!(
        "SELECT ",
        user_columns!(),
        ", ",
        plan_columns!(),
        " FROM users JOIN plans ON plans.id = users.plan WHERE users.id = $1"
    );
    let row = fetch_optional!(tx.connection(), UserRow, sql, scope.tenant().0)?;
    row.ok_or(StoreError::NotFound)?.try_into()
}
