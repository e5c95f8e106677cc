//! A tenant's plan and time zone, and what it has used of its month's data.

use super::Tenants;
use crate::{failures::store_failure, inner::Inner};
use domain::{
    ErrorCode, Failure, Field, Message, SupportScope, TenantScope, period::time_zone_name,
    view::DataView,
};
use store::{Committed, PeriodUse, QuotaChange, TenantRecord, TenantState};

/// What an operator changes of a tenant. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct TermsChange {
    /// A plan's id, hidden ones too.
    pub plan: Option<String>,
    pub suspended: Option<bool>,
}

/// What of a tenant an operator can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantTerms {
    /// The plan's id.
    pub plan: String,
    pub suspended: bool,
}

impl Tenants<'_> {
    /// Does what [`Tenants::set_plan`] and [`Tenants::set_suspended`] do, together and only if
    /// the tenant still has the terms that are expected.
    ///
    /// # Errors
    /// `PlanUnknown`, `NotFound`, `ChangedMeanwhile`. Nothing is changed then.
    pub async fn change_if(
        self,
        _operator: &SupportScope,
        scope: &TenantScope,
        change: TermsChange,
        expected: Option<&TenantTerms>,
    ) -> Result<bool, Failure> {
        let change = store::TenantChange {
            plan: change.plan.as_deref(),
            state: change.suspended.map(state),
        };
        let expected = expected.map(|e| store::TenantTerms {
            plan: e.plan.clone(),
            state: state(e.suspended),
        });
        let (store, now) = (&self.0.store, self.0.clock.now());
        let changed = store.change_tenant_if(scope, change, expected.as_ref(), now);
        let changed = changed.await.map_err(store_failure)?;
        self.finish(scope, changed).await
    }

    /// Gives a tenant another plan, hidden ones too, and waits (3 s at most) until it is
    /// in force. Returns whether it is; the node keeps trying. The month goes on with
    /// what is used of it, and devices above a lower number stay.
    ///
    /// # Errors
    /// `PlanUnknown`, `NotFound`.
    pub async fn set_plan(
        self,
        _operator: &SupportScope,
        scope: &TenantScope,
        plan: &str,
    ) -> Result<bool, Failure> {
        let now = self.0.clock.now();
        let changed = self.0.store.set_plan(scope, plan, now).await;
        self.finish(scope, changed.map_err(store_failure)?).await
    }

    /// Suspends a tenant (nothing of it runs, nothing is lost) or resumes it,
    /// and waits (3 s at most) until that is in force. Returns whether it is;
    /// the node keeps trying.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_suspended(
        self,
        _operator: &SupportScope,
        scope: &TenantScope,
        suspended: bool,
    ) -> Result<bool, Failure> {
        let (store, now) = (&self.0.store, self.0.clock.now());
        let changed = store.set_state(scope, state(suspended), now).await;
        let changed = changed.map_err(store_failure)?;
        Ok(self.0.in_force(scope, &changed).await)
    }

    /// Sets the time zone in which a tenant's months begin, by its IANA name, e.g.
    /// `Europe/Berlin` (`domain::period::time_zone_names` lists them). The current
    /// month ends on the same date there.
    ///
    /// # Errors
    /// `TimeZoneUnknown`, `TooManyTries`, `NotFound`.
    pub async fn set_time_zone(self, scope: &TenantScope, typed: &str) -> Result<(), Failure> {
        self.set_time_zone_if(scope, typed, None).await
    }

    /// Does what [`Tenants::set_time_zone`] does, if the tenant still has the one that is
    /// expected.
    ///
    /// # Errors
    /// As [`Tenants::set_time_zone`]; `ChangedMeanwhile`.
    pub async fn set_time_zone_if(
        self,
        scope: &TenantScope,
        typed: &str,
        expected: Option<&str>,
    ) -> Result<(), Failure> {
        let name = time_zone_name(typed).ok_or_else(|| {
            let code = ErrorCode::TimeZoneUnknown;
            Failure::at(Field::TimeZone, code, Message::TimeZoneUnknown)
        })?;
        let now = self.0.clock.now();
        self.0.limits.count_change(scope.tenant(), now)?;
        let store = &self.0.store;
        let changed = store.set_time_zone_if(scope, &name, expected, now).await;
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

/// Returns the state of a tenant that is suspended or not.
const fn state(is_suspended: bool) -> TenantState {
    match is_suspended {
        true => TenantState::Suspended,
        false => TenantState::Active,
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
