//! A tenant's plan, its time zone and whether it is suspended.

use crate::{
    Committed, QuotaChange, Result, Store, StoreError, audit,
    db::{Tx, execute, fetch_optional},
    nodes::{PendingChange, begin_change},
    plans::{plan_columns, plan_in},
    quota::{self, Generation},
    tenants::{TenantRecord, TenantState, UserRow, user_columns},
};
use domain::{PeriodRule, Plan, TenantScope, Timestamp};

/// What an operator changes of a tenant. What is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct TenantChange<'a> {
    pub plan: Option<&'a str>,
    pub state: Option<TenantState>,
}

/// What of a tenant an operator can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantTerms {
    /// The plan's id.
    pub plan: String,
    pub state: TenantState,
}

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
        let change = TenantChange {
            plan: Some(plan),
            ..TenantChange::default()
        };
        self.change_tenant_if(scope, change, None, now).await
    }

    /// Suspends or resumes a tenant. Does nothing if the tenant is in that state
    /// already.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the tenant was deleted.
    pub async fn set_state(
        &self,
        scope: &TenantScope,
        state: TenantState,
        now: Timestamp,
    ) -> Result<Committed<()>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        // Nothing else of the row: a tenant whose row is damaged can be suspended.
        let sql = "SELECT state FROM users WHERE id = $1";
        let stored = fetch_optional!(tx.connection(), (String,), sql, scope.tenant().0)?;
        if stored.ok_or(StoreError::NotFound)?.0 == state.as_str() {
            return Ok(pending.unchanged(()));
        }
        set_state_in(&mut tx, scope, state, now).await?;
        tx.commit().await?;
        Ok(pending.committed(()))
    }

    /// Does what [`Store::set_plan`] and [`Store::set_state`] do, together and only if the
    /// tenant still has the terms that are expected.
    ///
    /// # Errors
    /// As [`Store::set_plan`]; [`StoreError::Changed`] if it has others. Nothing is changed
    /// then.
    pub async fn change_tenant_if(
        &self,
        scope: &TenantScope,
        change: TenantChange<'_>,
        expected: Option<&TenantTerms>,
        now: Timestamp,
    ) -> Result<Committed<Vec<QuotaChange>>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        let before = tenant_in(&mut tx, scope).await?;
        let is_expected = |e: &TenantTerms| e.plan == before.plan.id && e.state == before.state;
        if !expected.is_none_or(is_expected) {
            return Err(StoreError::Changed);
        }
        let state = change.state.filter(|state| *state != before.state);
        if let Some(state) = state {
            set_state_in(&mut tx, scope, state, now).await?;
        }
        let mut quotas = None;
        if let Some(id) = change.plan {
            let plan = plan_in(&mut tx, id).await?;
            let plan = plan.ok_or(StoreError::PlanUnknown)?;
            if plan.id != before.plan.id {
                let changed = set_plan_in(&mut tx, scope, pending, &before.plan, &plan, now);
                quotas = Some(changed.await?);
            }
        }
        if state.is_none() && quotas.is_none() {
            return Ok(pending.unchanged(Vec::new()));
        }
        tx.commit().await?;
        Ok(pending.committed(quotas.unwrap_or_default()))
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
        self.set_time_zone_if(scope, time_zone, None, now).await
    }

    /// Does what [`Store::set_time_zone`] does, if the tenant still has the one that is
    /// expected.
    ///
    /// # Errors
    /// As [`Store::set_time_zone`]; [`StoreError::Changed`] if it has another one.
    pub async fn set_time_zone_if(
        &self,
        scope: &TenantScope,
        time_zone: &str,
        expected: Option<&str>,
        now: Timestamp,
    ) -> Result<Committed<Vec<QuotaChange>>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        let record = tenant_in(&mut tx, scope).await?;
        if expected.is_some_and(|expected| expected != record.time_zone) {
            return Err(StoreError::Changed);
        }
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
        let values = (record.time_zone, time_zone.to_owned());
        audit::write_change(&mut tx, scope, now, "tenant.time_zone", object, values).await?;
        tx.commit().await?;
        Ok(pending.committed(quotas))
    }
}

async fn set_state_in(
    tx: &mut Tx,
    scope: &TenantScope,
    state: TenantState,
    now: Timestamp,
) -> Result<()> {
    let sql = "UPDATE users SET state = $2 WHERE id = $1";
    execute!(tx.connection(), sql, scope.tenant().0, state.as_str())?;
    let action = match state {
        TenantState::Active => "tenant.resume",
        TenantState::Suspended => "tenant.suspend",
    };
    let object = scope.name().to_string();
    audit::write_scoped(tx, scope, now, action, object, String::new()).await
}

async fn set_plan_in(
    tx: &mut Tx,
    scope: &TenantScope,
    pending: PendingChange,
    before: &Plan,
    plan: &Plan,
    now: Timestamp,
) -> Result<Vec<QuotaChange>> {
    let tenant = scope.tenant().0;
    let sql = "UPDATE users SET plan = $2 WHERE id = $1";
    execute!(tx.connection(), sql, tenant, plan.id.as_str())?;
    if before.month_day != plan.month_day {
        let (node, _) = pending.generation();
        quota::apply_day(tx, node, &[tenant], now).await?;
    }
    let quotas = settle(tx, pending, tenant, now).await?;
    let object = scope.name().to_string();
    let values = (before.id.clone(), plan.id.clone());
    audit::write_change(tx, scope, now, "tenant.plan", object, values).await?;
    Ok(quotas)
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
