//! Brings the stored state of quotas to what follows from their use, with the event,
//! the audit entry and the node's new generation, in one transaction.

use super::{
    CountedRow, PeriodUse, QuotaChange, QuotaRow, QuotaUse, counted_columns, current,
    limit_columns, readable,
};
use crate::{
    Result, Store, StoreError,
    audit::{self, AuditEntry},
    db::{Either, Tx, batch, execute, fetch_optional},
    events, mail,
    nodes::bump_generation,
};
use domain::{
    MailContent, NodeId, PeriodRule, QuotaState, TenantId, Timestamp, quota::WARNING_PERCENT,
};
use protocol::{EventKind, EventTenant};

/// The generation of a node in a transaction that may raise it, once.
#[derive(Debug)]
pub(crate) struct Generation {
    node: NodeId,
    raised: Option<i64>,
}

impl Generation {
    /// Returns one that is not raised yet.
    pub const fn unchanged(node: NodeId) -> Self {
        Self { node, raised: None }
    }

    /// Returns one that the transaction has raised to this.
    pub const fn of_change(node: NodeId, generation: i64) -> Self {
        Self {
            node,
            raised: Some(generation),
        }
    }

    /// Raises it, unless it is raised already. Returns the new one.
    pub async fn raise(&mut self, tx: &mut Tx) -> Result<i64> {
        if let Some(raised) = self.raised {
            return Ok(raised);
        }
        let raised = bump_generation(tx, self.node).await?;
        self.raised = Some(raised);
        Ok(raised)
    }

    /// Returns the new one, if it was raised.
    pub const fn raised(&self) -> Option<i64> {
        self.raised
    }
}

/// Returns the query for quotas of tenants of a node, without their ids. Only a number
/// is inserted.
pub(crate) fn of_tenants(node: NodeId) -> String {
    let columns = concat!(limit_columns!(), ", ", counted_columns!());
    format!(
        "SELECT {columns} FROM users JOIN plans ON plans.id = users.plan \
         LEFT JOIN tenant_traffic ON tenant_traffic.user_id = users.id \
         WHERE users.node_id = {} AND users.id IN",
        node.0
    )
}

async fn rows_of(tx: &mut Tx, node: NodeId, tenants: &[i64]) -> Result<Vec<QuotaRow>> {
    let lock = match tx.connection() {
        Either::Sqlite(_) => "ORDER BY users.id",
        Either::Postgres(_) => "ORDER BY users.id FOR NO KEY UPDATE OF users",
    };
    batch::fetch(tx, &of_tenants(node), tenants, lock).await
}

impl Store {
    /// Brings the quotas of these tenants of a node to the state that follows from
    /// their use and the time: a new period opens them, a limit that is reached slows
    /// or stops them. Returns the changes; with one that a node has to apply, its
    /// generation is raised.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] for an unknown node, or the database's error.
    pub async fn settle_quotas(
        &self,
        node: NodeId,
        tenants: &[TenantId],
        now: Timestamp,
    ) -> Result<Vec<QuotaChange>> {
        if tenants.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<i64> = tenants.iter().map(|t| t.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut tx = self.db.begin().await?;
        // The row is locked before the states are read, so that of two callers one
        // changes them.
        let sql = "UPDATE nodes SET generation = generation WHERE id = $1";
        if execute!(tx.connection(), sql, node.0)? == 0 {
            return Err(StoreError::NotFound);
        }
        let mut generation = Generation::unchanged(node);
        let changes = settle_in(&mut tx, &mut generation, &ids, now).await?;
        if !changes.is_empty() {
            tx.commit().await?;
        }
        Ok(changes)
    }
}

/// Does what [`Store::settle_quotas`] does, within a transaction that holds the node's
/// row. The ids are in ascending order.
pub(crate) async fn settle_in(
    tx: &mut Tx,
    generation: &mut Generation,
    tenants: &[i64],
    now: Timestamp,
) -> Result<Vec<QuotaChange>> {
    let node = generation.node;
    let mut changes = Vec::new();
    let mut recorded = Vec::new();
    for row in rows_of(tx, node, tenants).await? {
        let rule = row.limits.rule();
        let counted = row.counted.counted();
        let used = current(counted, || rule.clone(), now);
        let quota = readable(row.limits.quota(used)).filter(QuotaUse::is_due);
        let (Some(quota), Some(name)) = (quota, readable(row.limits.name())) else {
            continue;
        };
        if let Some(before) = counted.filter(|c| c.period != used.period) {
            begin_period(tx, row.limits.id, before, used).await?;
        }
        let change = QuotaChange {
            tenant: quota.tenant,
            name,
            before: quota.state,
            after: quota.due,
        };
        let tenant = EventTenant {
            slot: quota.slot,
            name: change.name.clone(),
        };
        if change.before.is_used_up() || change.after.is_used_up() {
            let new = generation.raise(tx).await?;
            let sql = "UPDATE users SET quota_state = $2, generation = $3 WHERE id = $1";
            execute!(
                tx.connection(),
                sql,
                row.limits.id,
                change.after.as_str(),
                new
            )?;
            let detail = format!(
                "{} to {}, {} of {} bytes",
                change.before,
                change.after,
                quota.used_bytes,
                quota
                    .limit_bytes
                    .map_or("any".to_owned(), |n| n.to_string())
            );
            audit_change(tx, &change, detail, now).await?;
        } else {
            let sql = "UPDATE users SET quota_state = $2 WHERE id = $1";
            execute!(tx.connection(), sql, row.limits.id, change.after.as_str())?;
        }
        let until = rule.date(quota.period_end);
        let event = event(&change, tenant, until);
        if let Some(content) = event.as_ref().and_then(mail_of) {
            mail::send_quota(tx, quota.tenant, &content, now).await?;
        }
        recorded.extend(event.map(|e| (quota.tenant, e)));
        changes.push(change);
    }
    events::insert(tx, node, &recorded, now).await?;
    Ok(changes)
}

/// Ends the period before. A reading that has begun the new one meanwhile is left.
async fn begin_period(tx: &mut Tx, tenant: i64, before: PeriodUse, new: PeriodUse) -> Result<()> {
    let sql = "UPDATE tenant_traffic SET period_start = $3, period_end = $4, period_bytes = 0 \
               WHERE user_id = $1 AND period_end = $2";
    let (start, end) = (new.period.start.0, new.period.end.0);
    execute!(
        tx.connection(),
        sql,
        tenant,
        before.period.end.0,
        start,
        end
    )
    .map(drop)
}

/// Returns what is told of a change. A tenant that was not slower or stopped before
/// reads nothing of a new month.
fn event(change: &QuotaChange, tenant: EventTenant, until: String) -> Option<EventKind> {
    match (change.before, change.after) {
        (_, QuotaState::Slowed | QuotaState::Stopped) => Some(EventKind::QuotaReached {
            tenant,
            stopped: change.after == QuotaState::Stopped,
            until,
        }),
        (QuotaState::Open, QuotaState::Warned) => Some(EventKind::QuotaWarned {
            tenant,
            percent: WARNING_PERCENT,
            until,
        }),
        (QuotaState::Slowed | QuotaState::Stopped, _) => Some(EventKind::QuotaReset { tenant }),
        (QuotaState::Open | QuotaState::Warned, QuotaState::Open | QuotaState::Warned) => None,
    }
}

/// Returns the mail that tells an event, if one does.
const fn mail_of(event: &EventKind) -> Option<MailContent> {
    match event {
        EventKind::QuotaWarned { percent, .. } => {
            Some(MailContent::QuotaWarned { percent: *percent })
        }
        EventKind::QuotaReached { .. } => Some(MailContent::QuotaReached),
        _ => None,
    }
}

async fn audit_change(
    tx: &mut Tx,
    change: &QuotaChange,
    detail: String,
    at: Timestamp,
) -> Result<()> {
    let action = match change.after.is_used_up() {
        true => "quota.reached",
        false => "quota.reset",
    };
    let entry = AuditEntry {
        at,
        actor: "system".to_owned(),
        action: action.to_owned(),
        object: change.name.to_string(),
        detail,
        tenant: Some(change.tenant),
        ..AuditEntry::default()
    };
    audit::write(tx, entry).await
}

/// Lets the current periods of tenants end on the day that their plan has now.
pub(crate) async fn apply_day(
    tx: &mut Tx,
    node: NodeId,
    tenants: &[i64],
    now: Timestamp,
) -> Result<()> {
    for row in rows_of(tx, node, tenants).await? {
        let Some(counted) = row.counted.counted() else {
            continue;
        };
        let ends = counted.period.with_day(&row.limits.rule(), now).end;
        if ends != counted.period.end {
            let sql = "UPDATE tenant_traffic SET period_end = $2 WHERE user_id = $1";
            execute!(tx.connection(), sql, row.limits.id, ends.0)?;
        }
    }
    Ok(())
}

/// Lets the current period of a tenant end on the same date in another time zone. One
/// that is over already ends first, as it would have.
pub(crate) async fn move_period(
    tx: &mut Tx,
    tenant: i64,
    from: &PeriodRule,
    to: &PeriodRule,
    now: Timestamp,
) -> Result<()> {
    let sql = "SELECT period_start, period_end, period_bytes FROM tenant_traffic \
               WHERE user_id = $1";
    let row = fetch_optional!(tx.connection(), CountedRow, sql, tenant)?;
    let Some(before) = row.and_then(CountedRow::counted) else {
        return Ok(());
    };
    let used = current(Some(before), || from.clone(), now);
    if used.period != before.period {
        begin_period(tx, tenant, before, used).await?;
    }
    let moved = used.period.in_zone(from, to);
    let sql = "UPDATE tenant_traffic SET period_end = $2 WHERE user_id = $1";
    execute!(tx.connection(), sql, tenant, moved.end.0).map(drop)
}
