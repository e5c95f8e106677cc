//! The operator changes what plans give, while clients work and the process may die.

use control::Control;
use domain::{AtLimit, Failure, OwnerScope, Plan};
use testkit::sim::rng::SplitMix64;

/// The plans that tenants of a history have.
const PLANS: [&str; 2] = ["personal", "home"];
const MB: u64 = 1_000_000;

/// What a plan is to give.
#[derive(Clone, Copy, Debug)]
pub struct PlanChange {
    plan: &'static str,
    monthly_bytes: Option<u64>,
    at_limit: AtLimit,
    bps: Option<u64>,
}

impl PlanChange {
    pub fn drawn(rng: &mut SplitMix64) -> Self {
        let limits = [50, 100, 200, 400, 1_000].map(|n| n * MB);
        Self {
            plan: rng.pick(PLANS).unwrap_or(PLANS[0]),
            monthly_bytes: rng.pick(limits).filter(|_| rng.percent(80)),
            at_limit: match rng.percent(50) {
                true => AtLimit::Slow,
                false => AtLimit::Stop,
            },
            bps: rng.percent(60).then_some(50 * MB),
        }
    }

    /// Changes the plan.
    pub async fn perform(self, control: &Control) -> Result<(), Failure> {
        let operator = OwnerScope::issue("plans");
        let before = control.plans().get(&operator, self.plan).await?;
        let plan = Plan {
            monthly_bytes: self.monthly_bytes,
            at_limit: self.at_limit,
            down_bps: self.bps,
            up_bps: self.bps,
            ..before
        };
        control.plans().change(&operator, plan).await
    }
}
