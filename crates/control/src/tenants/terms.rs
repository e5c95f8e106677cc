//! A tenant's plan and time zone, and what it has used of its month's data.

use super::Tenants;
use crate::{failures::store_failure, inner::Inner};
use domain::{
    ErrorCode, Failure, Field, Message, OperatorScope, TenantScope, period::time_zone_name,
    view::DataView,
};
use store::{Committed, PeriodUse, QuotaChange, TenantRecord};

impl Tenants<'_> {
    /// Gives a tenant another plan, hidden ones too, and waits (3 s at most) until it is
    /// in force. Returns whether it is; the node keeps trying. The month goes on with
    /// what is used of it, and devices above a lower number stay.
    ///
    /// # Errors
    /// `PlanUnknown`, `NotFound`.
    pub async fn set_plan(
        self,
        _operator: &OperatorScope,
        scope: &TenantScope,
        plan: &str,
    ) -> Result<bool, Failure> {
        let now = self.0.clock.now();
        let changed = self.0.store.set_plan(scope, plan, now).await;
        self.finish(scope, changed.map_err(store_failure)?).await
    }

    /// Sets the time zone in which a tenant's months begin, by its IANA name, e.g.
    /// `Europe/Berlin` (`domain::period::time_zone_names` lists them). The current
    /// month ends on the same date there.
    ///
    /// # Errors
    /// `TimeZoneUnknown`, `TooManyTries`, `NotFound`.
    pub async fn set_time_zone(self, scope: &TenantScope, typed: &str) -> Result<(), Failure> {
        let name = time_zone_name(typed).ok_or_else(|| {
            let code = ErrorCode::TimeZoneUnknown;
            Failure::at(Field::TimeZone, code, Message::TimeZoneUnknown)
        })?;
        let now = self.0.clock.now();
        self.0.limits.count_change(scope.tenant(), now)?;
        let changed = self.0.store.set_time_zone(scope, &name, now).await;
        self.finish(scope, changed.map_err(store_failure)?).await?;
        Ok(())
    }

    async fn finish(
        self,
        scope: &TenantScope,
        changed: Committed<Vec<QuotaChange>>,
    ) -> Result<bool, Failure> {
        let is_in_force = self.0.in_force(scope, &changed).await;
        self.0.quotas.forget(changed.node);
        Ok(is_in_force)
    }
}

impl Inner {
    /// Returns what a tenant has used of its month's data, as a page shows it.
    pub(crate) fn data_view(&self, tenant: &TenantRecord, used: PeriodUse) -> DataView {
        let PeriodUse { period, bytes } = used;
        DataView {
            used_bytes: bytes,
            limit_bytes: tenant.plan.monthly_bytes,
            state: tenant.quota,
            at_limit: tenant.plan.at_limit,
            slow_bps: tenant.plan.slow_bps,
            period_start: period.start,
            period_end: period.end,
            until: tenant.quota.is_used_up().then_some(period.end),
            time_zone: tenant.time_zone.clone(),
            end_offset_secs: tenant.rule().offset_secs(period.end),
        }
    }
}
