//! Quotas: what a tenant has used of its month's data, and the state that follows.
//!
//! The bytes are counted where a reading's increments become totals
//! ([`crate::statistics`]), in the same transaction and the same row. Whether that
//! crosses a limit is decided by a second transaction ([`Store::settle_quotas`]), which
//! locks the node's row first like every change; the state it stores also says what was
//! announced, so a crossing is announced once, and what a crash prevents is found by
//! the next call.

mod settle;

#[cfg(test)]
pub(crate) use settle::of_tenants;
pub(crate) use settle::{Generation, apply_day, move_period, settle_in};

use crate::{Result, Store, StoreError, db::fetch_all, nodes::parse_slot};
use domain::{
    AtLimit, NodeId, Period, PeriodRule, QuotaState, Slot, TenantId, TenantName, Timestamp,
    WARNING_PERCENT,
};

/// What was counted of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodUse {
    pub period: Period,
    /// The bytes of the tenant's present and former devices, both directions together.
    pub bytes: u64,
}

/// The columns of `tenant_traffic` in a query that joins it.
#[derive(Clone, Copy, sqlx::FromRow)]
pub(crate) struct CountedRow {
    period_start: Option<i64>,
    period_end: Option<i64>,
    period_bytes: Option<i64>,
}

macro_rules! counted_columns {
    () => {
        "tenant_traffic.period_start, tenant_traffic.period_end, tenant_traffic.period_bytes"
    };
}
pub(crate) use counted_columns;

impl CountedRow {
    /// Returns what was counted; `None` before the first reading.
    pub fn counted(self) -> Option<PeriodUse> {
        counted(self.period_start?, self.period_end?, self.period_bytes?)
    }
}

/// Converts the columns; `None` before the first reading.
pub(crate) fn counted(start: i64, end: i64, bytes: i64) -> Option<PeriodUse> {
    (end != 0).then(|| PeriodUse {
        period: Period {
            start: Timestamp(start),
            end: Timestamp(end),
        },
        bytes: crate::db::unsigned(bytes),
    })
}

/// Returns what is counted at `now`: nothing once a new period has begun.
/// The rule is computed only where a period begins: finding a time zone takes a while.
pub(crate) fn current(
    counted: Option<PeriodUse>,
    rule: impl FnOnce() -> PeriodRule,
    now: Timestamp,
) -> PeriodUse {
    if let Some(counted) = counted.filter(|c| now < c.period.end) {
        return counted;
    }
    let rule = rule();
    let next = counted.and_then(|c| c.period.next(&rule, now));
    PeriodUse {
        period: next.unwrap_or_else(|| rule.period(now)),
        bytes: 0,
    }
}

/// A tenant's use beside its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    pub tenant: TenantId,
    pub slot: Slot,
    pub used_bytes: u64,
    /// The plan's bytes per month; `None` is no limit.
    pub limit_bytes: Option<u64>,
    /// The plan's speed towards the devices, in bits per second; `None` is no limit.
    pub down_bps: Option<u64>,
    /// The plan's speed from the devices.
    pub up_bps: Option<u64>,
    /// When the next period begins.
    pub period_end: Timestamp,
    /// The state in force.
    pub state: QuotaState,
    /// The state that follows from the use.
    pub due: QuotaState,
}

impl QuotaUse {
    /// Returns whether [`Store::settle_quotas`] would change the state.
    pub fn is_due(&self) -> bool {
        self.state != self.due
    }
}

/// A change of a quota's state that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaChange {
    pub tenant: TenantId,
    pub name: TenantName,
    pub before: QuotaState,
    pub after: QuotaState,
}

/// The columns of `users` and `plans` that a quota depends on.
#[derive(Clone, sqlx::FromRow)]
pub(crate) struct LimitRow {
    pub id: i64,
    slot: i64,
    username: String,
    time_zone: String,
    quota_state: String,
    monthly_bytes: Option<i64>,
    down_bps: Option<i64>,
    up_bps: Option<i64>,
    at_limit: String,
    month_day: i64,
}

macro_rules! limit_columns {
    () => {
        "users.id, users.slot, users.username, users.time_zone, users.quota_state, \
         plans.monthly_bytes, plans.down_bps, plans.up_bps, plans.at_limit, plans.month_day"
    };
}
pub(crate) use limit_columns;

impl LimitRow {
    /// Returns when the tenant's months begin.
    pub fn rule(&self) -> PeriodRule {
        PeriodRule::new(&self.time_zone, u8::try_from(self.month_day).unwrap_or(1))
    }

    /// Returns the quota with what is used of it.
    pub fn quota(&self, used: PeriodUse) -> Result<QuotaUse> {
        let bad = |column| StoreError::Corrupt(format!("users.{column} of user {}", self.id));
        let at_limit: AtLimit = self.at_limit.parse().map_err(|_| bad("plan"))?;
        let number = |n: Option<i64>| n.map(crate::db::unsigned);
        let limit_bytes = number(self.monthly_bytes);
        Ok(QuotaUse {
            tenant: TenantId(self.id),
            slot: parse_slot(self.slot).ok_or_else(|| bad("slot"))?,
            used_bytes: used.bytes,
            limit_bytes,
            down_bps: number(self.down_bps),
            up_bps: number(self.up_bps),
            period_end: used.period.end,
            state: QuotaState::parse(&self.quota_state).ok_or_else(|| bad("quota_state"))?,
            due: QuotaState::of_limit(used.bytes, limit_bytes, at_limit),
        })
    }

    fn name(&self) -> Result<TenantName> {
        let bad = |_| StoreError::Corrupt(format!("users.username of user {}", self.id));
        TenantName::parse(&self.username).map_err(bad)
    }
}

/// Logs an unreadable row and leaves it out: it does not open or stop other tenants.
pub(crate) fn readable<T>(row: Result<T>) -> Option<T> {
    row.inspect_err(|e| tracing::error!(error = ?e, "a quota cannot be read"))
        .ok()
}

/// A tenant's limits with what was counted.
#[derive(Clone, sqlx::FromRow)]
struct QuotaRow {
    #[sqlx(flatten)]
    limits: LimitRow,
    #[sqlx(flatten)]
    counted: CountedRow,
}

macro_rules! of_node {
    () => {
        concat!(
            "SELECT ",
            limit_columns!(),
            ", ",
            counted_columns!(),
            " FROM users JOIN plans ON plans.id = users.plan \
             LEFT JOIN tenant_traffic ON tenant_traffic.user_id = users.id \
             WHERE users.node_id = $1"
        )
    };
}

pub(crate) const OF_NODE: &str = concat!(of_node!(), " ORDER BY users.id");

/// Of the others nothing is to be done for a while: they are open, they have used less
/// than what warns (with a percent to spare), and at their speed, or at a gigabit where they
/// have none, the rest of the month's data lasts longer than `$2` seconds. Floating-point
/// numbers cannot overflow, and the last percent does not matter.
pub(crate) const NEAR_LIMIT: &str = concat!(
    of_node!(),
    " AND (users.quota_state <> 'open' OR plans.monthly_bytes IS NULL \
     OR CAST(COALESCE(tenant_traffic.period_bytes, 0) AS DOUBLE PRECISION) * 100 \
     >= CAST(plans.monthly_bytes AS DOUBLE PRECISION) * $3 \
     OR (CAST(plans.monthly_bytes AS DOUBLE PRECISION) * 1.01 \
     - COALESCE(tenant_traffic.period_bytes, 0)) * 8 \
     <= COALESCE(CAST(plans.down_bps AS DOUBLE PRECISION) + plans.up_bps, 1000000000) * $2) \
     ORDER BY users.id"
);

impl Store {
    /// Lists the quotas of a node's tenants as they are at `now`.
    ///
    /// # Errors
    /// Returns the database's error, or [`StoreError::Corrupt`].
    pub async fn quotas(&self, node: NodeId, now: Timestamp) -> Result<Vec<QuotaUse>> {
        let rows = fetch_all!(self.db.reader(), QuotaRow, OF_NODE, node.0)?;
        Ok(as_of(rows, now))
    }

    /// Does what [`Store::quotas`] does, without the tenants that stay open and unwarned for
    /// `seconds` at least, however fast they are: with a plan's speeds or at a gigabit.
    ///
    /// # Errors
    /// The same.
    pub async fn quotas_near_limit(
        &self,
        node: NodeId,
        seconds: u32,
        now: Timestamp,
    ) -> Result<Vec<QuotaUse>> {
        let warning = WARNING_PERCENT as f64 - 1.0;
        let seconds = f64::from(seconds);
        let rows = fetch_all!(
            self.db.reader(),
            QuotaRow,
            NEAR_LIMIT,
            node.0,
            seconds,
            warning
        )?;
        Ok(as_of(rows, now))
    }
}

fn as_of(rows: Vec<QuotaRow>, now: Timestamp) -> Vec<QuotaUse> {
    let quota = |r: QuotaRow| {
        let used = current(r.counted.counted(), || r.limits.rule(), now);
        readable(r.limits.quota(used))
    };
    rows.into_iter().filter_map(quota).collect()
}
