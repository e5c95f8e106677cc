//! Creates, changes and deletes plans. A change takes effect for every tenant of the
//! plan in the same transaction, and raises each of their nodes' generations once.

use super::plan_in;
use crate::{
    QuotaChange, Result, Store, StoreError,
    audit::{self, AuditEntry},
    db::{Tx, execute, fetch_all, fetch_optional},
    quota::{self, Generation},
};
use domain::{NodeId, OwnerScope, Plan, Timestamp};

/// What a change of a plan led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedPlan {
    /// The nodes whose spec has changed.
    pub nodes: Vec<NodeId>,
    /// The tenants whose quota's state has changed.
    pub quotas: Vec<QuotaChange>,
}

impl Store {
    /// Creates a plan behind the others. The caller has checked it.
    ///
    /// # Errors
    /// Returns [`StoreError::PlanTaken`] if there is one with that id.
    pub async fn create_plan(&self, by: &OwnerScope, plan: &Plan, now: Timestamp) -> Result<Plan> {
        let mut tx = self.db.begin().await?;
        let sql = "INSERT INTO plans (id, name, devices, monthly_bytes, down_bps, up_bps, at_limit, \
             slow_bps, month_day, recommended, visible, position) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
               (SELECT COALESCE(MAX(position), 0) + 1 FROM plans)) \
             ON CONFLICT DO NOTHING RETURNING position";
        let inserted = fetch_optional!(
            tx.connection(),
            (i64,),
            sql,
            plan.id.as_str(),
            plan.name.as_str(),
            i64::from(plan.devices),
            plan.monthly_bytes.map(signed),
            plan.down_bps.map(signed),
            plan.up_bps.map(signed),
            plan.at_limit.as_str(),
            signed(plan.slow_bps),
            i64::from(plan.month_day),
            i64::from(plan.recommended),
            i64::from(plan.visible),
        )?;
        let (position,) = inserted.ok_or(StoreError::PlanTaken)?;
        let created = Plan {
            position: u32::try_from(position).unwrap_or(u32::MAX),
            ..plan.clone()
        };
        let changed = (String::new(), terms(&created));
        audit_plan(&mut tx, by, "plan.create", &created, changed, now).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// Replaces the plan of that id. The caller has checked it. Devices above a lower
    /// number stay.
    ///
    /// # Errors
    /// Returns [`StoreError::PlanUnknown`].
    pub async fn change_plan(
        &self,
        by: &OwnerScope,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<ChangedPlan> {
        self.change_plan_if(by, plan, None, now).await
    }

    /// Does what [`Store::change_plan`] does, if the plan is still as `expected`.
    ///
    /// # Errors
    /// As [`Store::change_plan`]; [`StoreError::Changed`] if it is not.
    pub async fn change_plan_if(
        &self,
        by: &OwnerScope,
        plan: &Plan,
        expected: Option<&Plan>,
        now: Timestamp,
    ) -> Result<ChangedPlan> {
        let mut tx = self.db.begin().await?;
        let nodes = lock_nodes(&mut tx).await?;
        let before = plan_in(&mut tx, &plan.id).await?;
        let before = before.ok_or(StoreError::PlanUnknown)?;
        if expected.is_some_and(|expected| *expected != before) {
            return Err(StoreError::Changed);
        }
        if before == *plan {
            return Ok(ChangedPlan::default());
        }
        let sql = "UPDATE plans SET name = $2, devices = $3, monthly_bytes = $4, down_bps = $5, \
             up_bps = $6, at_limit = $7, slow_bps = $8, month_day = $9, recommended = $10, \
             visible = $11, position = $12 WHERE id = $1";
        execute!(
            tx.connection(),
            sql,
            plan.id.as_str(),
            plan.name.as_str(),
            i64::from(plan.devices),
            plan.monthly_bytes.map(signed),
            plan.down_bps.map(signed),
            plan.up_bps.map(signed),
            plan.at_limit.as_str(),
            signed(plan.slow_bps),
            i64::from(plan.month_day),
            i64::from(plan.recommended),
            i64::from(plan.visible),
            i64::from(plan.position),
        )?;
        let mut changed = ChangedPlan::default();
        for node in nodes {
            let sql = "SELECT id FROM users WHERE node_id = $1 AND plan = $2 ORDER BY id";
            let tenants = fetch_all!(tx.connection(), (i64,), sql, node.0, plan.id.as_str())?;
            let tenants: Vec<i64> = tenants.into_iter().map(|(id,)| id).collect();
            if tenants.is_empty() {
                continue;
            }
            let mut generation = Generation::unchanged(node);
            if speeds(&before) != speeds(plan) {
                let new = generation.raise(&mut tx).await?;
                let sql = "UPDATE users SET generation = $3 WHERE node_id = $1 AND plan = $2";
                execute!(tx.connection(), sql, node.0, plan.id.as_str(), new)?;
            }
            if before.month_day != plan.month_day {
                quota::apply_day(&mut tx, node, &tenants, now).await?;
            }
            let quotas = quota::settle_in(&mut tx, &mut generation, &tenants, now).await?;
            changed.quotas.extend(quotas);
            changed.nodes.extend(generation.raised().map(|_| node));
        }
        let values = difference(&before, plan);
        audit_plan(&mut tx, by, "plan.change", plan, values, now).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Deletes a plan that no tenant has.
    ///
    /// # Errors
    /// Returns [`StoreError::PlanUnknown`] or [`StoreError::PlanInUse`].
    pub async fn delete_plan(&self, by: &OwnerScope, id: &str, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        // Sign-ups and changes of a tenant's plan hold a node's row.
        lock_nodes(&mut tx).await?;
        let plan = plan_in(&mut tx, id).await?.ok_or(StoreError::PlanUnknown)?;
        let sql = "SELECT COUNT(*) FROM users WHERE plan = $1";
        let count = fetch_optional!(tx.connection(), (i64,), sql, id)?;
        if let Some((tenants @ 1..,)) = count {
            let tenants = u32::try_from(tenants).unwrap_or(u32::MAX);
            return Err(StoreError::PlanInUse { tenants });
        }
        execute!(tx.connection(), "DELETE FROM plans WHERE id = $1", id)?;
        let changed = (terms(&plan), String::new());
        audit_plan(&mut tx, by, "plan.delete", &plan, changed, now).await?;
        tx.commit().await
    }
}

/// Locks every node's row until the end of the transaction, in the common order.
async fn lock_nodes(tx: &mut Tx) -> Result<Vec<NodeId>> {
    let nodes = fetch_all!(tx.connection(), (i64,), "SELECT id FROM nodes ORDER BY id")?;
    let sql = "UPDATE nodes SET generation = generation WHERE id = $1";
    for (node,) in &nodes {
        execute!(tx.connection(), sql, *node)?;
    }
    Ok(nodes.into_iter().map(|(id,)| NodeId(id)).collect())
}

/// Returns what of a plan is in a node's spec.
fn speeds(p: &Plan) -> (Option<u64>, Option<u64>, u64) {
    (p.down_bps, p.up_bps, p.slow_bps)
}

/// Converts a number of a plan, which is checked and far below the limit.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

async fn audit_plan(
    tx: &mut Tx,
    by: &OwnerScope,
    action: &str,
    plan: &Plan,
    (before, after): (String, String),
    at: Timestamp,
) -> Result<()> {
    let entry = AuditEntry {
        at,
        actor: by.actor(),
        action: action.to_owned(),
        object: format!("plan {}", plan.id),
        origin: by.origin().to_owned(),
        before,
        after,
        ..AuditEntry::default()
    };
    audit::write(tx, entry).await
}

/// A value of a plan by its name.
type Value = (&'static str, String);

/// Returns the values of a plan by their names.
fn values(p: &Plan) -> [Value; 11] {
    let number = |n: Option<u64>| n.map_or_else(|| "none".to_owned(), |n| n.to_string());
    [
        ("name", p.name.clone()),
        ("devices", p.devices.to_string()),
        ("bytes", number(p.monthly_bytes)),
        ("down", number(p.down_bps)),
        ("up", number(p.up_bps)),
        ("at limit", p.at_limit.to_string()),
        ("slow", p.slow_bps.to_string()),
        ("day", p.month_day.to_string()),
        ("recommended", p.recommended.to_string()),
        ("visible", p.visible.to_string()),
        ("position", p.position.to_string()),
    ]
}

fn terms(plan: &Plan) -> String {
    let all = values(plan).map(|(name, value)| format!("{name} {value}"));
    all.join(", ")
}

/// Returns the values that differ, as they are in each of two plans.
fn difference(before: &Plan, after: &Plan) -> (String, String) {
    let pairs = values(before).into_iter().zip(values(after));
    let changed: Vec<_> = pairs.filter(|(b, a)| b != a).collect();
    let text = |pick: fn(&(Value, Value)) -> &Value| {
        let parts = changed.iter().map(pick);
        let parts: Vec<_> = parts
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        parts.join(", ")
    };
    (text(|(before, _)| before), text(|(_, after)| after))
}
