//! The plans (tariffs): what a visitor chooses from, and what the operator makes of
//! them.

use crate::{failures::store_failure, inner::Inner};
use domain::{
    ErrorCode, Failure, Message, OperatorScope, OwnerScope, Plan,
    view::{PlanImpact, PlanUse},
};

/// The handle on the plans.
#[derive(Clone, Copy)]
pub struct Plans<'a>(pub(crate) &'a Inner);

impl Plans<'_> {
    /// Returns the plans that a visitor may choose, in the order in which the landing
    /// page shows them.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn list(self) -> Result<Vec<Plan>, Failure> {
        let plans = self.0.store.plans().await.map_err(store_failure)?;
        Ok(plans.into_iter().filter(|p| p.visible).collect())
    }

    /// Returns every plan with the number of its tenants, in the same order.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn all(self, _operator: &OperatorScope) -> Result<Vec<PlanUse>, Failure> {
        self.0.store.plan_uses().await.map_err(store_failure)
    }

    /// Returns one plan.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(self, _operator: &OperatorScope, id: &str) -> Result<Plan, Failure> {
        let plan = self.0.store.plan(id).await.map_err(store_failure)?;
        plan.ok_or_else(Failure::not_found)
    }

    /// Creates a plan behind the others.
    ///
    /// # Errors
    /// `PlanMalformed` at the field, `PlanTaken`. Nothing is created then.
    pub async fn create(self, operator: &OwnerScope, plan: Plan) -> Result<Plan, Failure> {
        plan.check()?;
        let now = self.0.clock.now();
        let created = self.0.store.create_plan(operator, &plan, now).await;
        created.map_err(store_failure)
    }

    /// Returns whom [`Plans::change`] would touch. The values are checked as there.
    ///
    /// # Errors
    /// `PlanMalformed` at the field, `NotFound`.
    pub async fn preview(
        self,
        operator: &OperatorScope,
        plan: &Plan,
    ) -> Result<PlanImpact, Failure> {
        plan.check()?;
        self.get(operator, &plan.id).await?;
        let impact = self.0.store.plan_impact(plan, self.0.clock.now()).await;
        impact.map_err(store_failure)
    }

    /// Replaces the plan of that id, at once for all its tenants: one change for each of
    /// their nodes, which are nudged and not waited for. Devices above a lower number
    /// stay, and no further one can be added.
    ///
    /// # Errors
    /// `PlanMalformed` at the field, `NotFound`. Nothing is changed then.
    pub async fn change(self, operator: &OwnerScope, plan: Plan) -> Result<(), Failure> {
        self.change_if(operator, plan, None).await
    }

    /// Does what [`Plans::change`] does, if the plan is still as `expected`.
    ///
    /// # Errors
    /// As [`Plans::change`]; `ChangedMeanwhile`.
    pub async fn change_if(
        self,
        operator: &OwnerScope,
        plan: Plan,
        expected: Option<&Plan>,
    ) -> Result<(), Failure> {
        plan.check()?;
        let now = self.0.clock.now();
        let store = &self.0.store;
        let changed = store.change_plan_if(operator, &plan, expected, now).await;
        let changed = changed.map_err(unknown_is_not_found)?;
        self.0.quotas.announce(&changed.quotas);
        for node in changed.nodes {
            self.0.nodes.nudge(node);
        }
        self.0.quotas.forget_all();
        Ok(())
    }

    /// Deletes a plan that no tenant has. One that is in use can be hidden.
    ///
    /// # Errors
    /// `NotFound`, `PlanInUse`.
    pub async fn delete(self, operator: &OwnerScope, id: &str) -> Result<(), Failure> {
        let now = self.0.clock.now();
        let deleted = self.0.store.delete_plan(operator, id, now).await;
        deleted.map_err(unknown_is_not_found)
    }
}

/// Turns an error into a failure; here a plan is the object of the request, and not a
/// choice in a form.
fn unknown_is_not_found(e: store::StoreError) -> Failure {
    let failure = store_failure(e);
    match failure.code {
        ErrorCode::PlanUnknown => Failure::new(ErrorCode::NotFound, Message::PlanUnknown),
        _ => failure,
    }
}
