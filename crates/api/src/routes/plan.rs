//! Plans as the interface shows them, and those that a visitor may choose.

use super::{choices::AtLimit, problems::Problems};
use crate::{http::problem::Refusal, state::ApiState};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// A plan.
#[derive(Serialize, ToSchema)]
pub struct Plan {
    #[schema(example = "home")]
    pub id: String,
    pub name: String,
    /// The most devices.
    pub devices: u16,
    /// Bytes per month, both directions together; `null` is no limit.
    pub monthly_bytes: Option<u64>,
    /// Bits per second towards the devices; `null` is no limit.
    pub down_bps: Option<u64>,
    /// Bits per second from the devices; `null` is no limit.
    pub up_bps: Option<u64>,
    /// What happens once the data of the month are used up.
    pub at_limit: AtLimit,
    /// Bits per second in each direction once they are, if that is `slow`.
    pub slow_bps: u64,
    /// The day on which a month begins.
    pub month_day: u8,
    /// Whether it is the one that is recommended.
    pub recommended: bool,
    /// Whether a visitor may choose it.
    pub visible: bool,
    /// Its place in the list of plans.
    pub position: u32,
}

impl From<domain::Plan> for Plan {
    fn from(p: domain::Plan) -> Self {
        Self {
            id: p.id,
            name: p.name,
            devices: p.devices,
            monthly_bytes: p.monthly_bytes,
            down_bps: p.down_bps,
            up_bps: p.up_bps,
            at_limit: p.at_limit.into(),
            slow_bps: p.slow_bps,
            month_day: p.month_day,
            recommended: p.recommended,
            visible: p.visible,
            position: p.position,
        }
    }
}

/// Plans.
#[derive(Serialize, ToSchema)]
pub struct PlanList {
    items: Vec<Plan>,
}

/// Plans to choose from
#[utoipa::path(
    get,
    path = "/v1/plans",
    tag = "sign-up",
    responses((status = 200, body = PlanList), Problems)
)]
pub async fn list_plans(State(state): State<ApiState>) -> Result<Json<PlanList>, Refusal> {
    let plans = state.control.plans().list().await?;
    let items = plans.into_iter().map(Plan::from).collect();
    Ok(Json(PlanList { items }))
}
