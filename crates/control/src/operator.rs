//! The operator: the account, the first page, and acting on tenants.

use crate::{Control, events, failures::store_failure};
use domain::{
    ErrorCode, Failure, OperatorScope, Secret, TenantId, TenantScope,
    view::{ONLINE_MILLIS, OperatorView, TenantRow},
};
use store::TenantState;

/// The first operator's name.
const FIRST: &str = "admin";
/// Lines of the audit log on the first page.
const AUDIT_LINES: u32 = 50;

impl Control {
    /// At the first start: makes the first operator, and says name and
    /// password, which are shown once.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn ensure_operator(&self) -> Result<Option<(String, Secret)>, Failure> {
        if self.0.store.operator_count().await.map_err(store_failure)? > 0 {
            return Ok(None);
        }
        let password = self.0.entropy.password()?;
        let hash = self.0.hasher.hash(&password).await?;
        self.0
            .store
            .create_operator(FIRST, &hash, self.0.clock.now())
            .await
            .map_err(store_failure)?;
        Ok(Some((FIRST.to_owned(), password)))
    }

    /// Gives an operator a new password, which is shown once. Sessions that
    /// began with the old one end.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn reset_operator(&self, name: &str) -> Result<Secret, Failure> {
        let operator = self
            .0
            .store
            .operator_by_name(name)
            .await
            .map_err(store_failure)?;
        let operator = operator.ok_or_else(|| {
            Failure::new(
                ErrorCode::NotFound,
                format!("There is no operator {name:?}."),
            )
        })?;
        let password = self.0.entropy.password()?;
        let hash = self.0.hasher.hash(&password).await?;
        self.0
            .store
            .set_operator_password(operator.id, &hash, self.0.clock.now())
            .await
            .map_err(store_failure)?;
        Ok(password)
    }

    /// The operator's first page.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn operator_view(&self, _scope: &OperatorScope) -> Result<OperatorView, Failure> {
        let inner = &self.0;
        let now = inner.clock.now();
        let (tenants, events, audit) = tokio::try_join!(
            inner.store.tenants(now.plus_millis(-ONLINE_MILLIS)),
            inner.store.events_recent(events::OF_ALL),
            inner.store.audit_recent(AUDIT_LINES)
        )
        .map_err(store_failure)?;
        let node = inner.node.node().borrow().clone();
        let held = tenants.iter().map(|l| l.tenant.slot).collect();
        let capacity = inner.capacity.view(&held, &self.unusable_slots());
        let mut problems = node.problems;
        problems.extend(inner.capacity.problems(&capacity));
        let rows = tenants.into_iter().map(|l| {
            let t = l.tenant;
            TenantRow {
                id: t.id,
                name: t.name.to_string(),
                plan: t.plan.name,
                slot: t.slot.get(),
                subnet: inner.settings.addresses.subnet(t.slot).to_string(),
                devices: l.devices,
                online: l.online,
                created_at: t.created_at,
                status: inner
                    .node
                    .tenant(t.slot)
                    .filter(|s| s.name == t.name)
                    .map(|s| s.status)
                    .unwrap_or_default(),
            }
        });
        Ok(OperatorView {
            now,
            wireguard: inner.node.wireguard(),
            capacity,
            problems,
            tenants: rows.collect(),
            events: events::to_operator(events),
            audit,
        })
    }

    /// Permission to act on a tenant as the operator; the audit log names the
    /// operator.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn operator_tenant(
        &self,
        scope: &OperatorScope,
        id: TenantId,
    ) -> Result<TenantScope, Failure> {
        let tenants = self
            .0
            .store
            .tenants(self.0.clock.now())
            .await
            .map_err(store_failure)?;
        let found = tenants
            .into_iter()
            .find(|t| t.tenant.id == id)
            .ok_or_else(Failure::not_found)?;
        Ok(TenantScope::issue(id, found.tenant.name, scope.actor()))
    }

    /// Suspends a tenant (nothing of theirs runs, nothing is lost) or resumes,
    /// and waits (3 s at most) until it is so. Whether it is; the node keeps
    /// trying.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_suspended(
        &self,
        scope: &TenantScope,
        suspended: bool,
    ) -> Result<bool, Failure> {
        let state = if suspended {
            TenantState::Suspended
        } else {
            TenantState::Active
        };
        self.0
            .store
            .set_state(scope, state, self.0.clock.now())
            .await
            .map_err(store_failure)?;
        Ok(self.in_force(scope).await)
    }
}
