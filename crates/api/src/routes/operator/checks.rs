//! The checks of the machine that answers.

use crate::{
    http::{client::Client, permission::Permission, problem::Refusal},
    routes::{problems::Problems, time::Time},
    state::ApiState,
};
use axum::{Json, extract::State};
use domain::{
    Access,
    view::{self, CheckRow},
};
use serde::Serialize;
use utoipa::ToSchema;

/// How it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    Ok,
    /// It works, but the operator should know.
    Warn,
    /// Something does not work.
    Bad,
}

impl From<view::CheckState> for CheckState {
    fn from(state: view::CheckState) -> Self {
        match state {
            view::CheckState::Ok => Self::Ok,
            view::CheckState::Warn => Self::Warn,
            view::CheckState::Bad => Self::Bad,
        }
    }
}

/// The result of one check.
#[derive(Serialize, ToSchema)]
pub struct MachineCheck {
    /// What was checked, for programs to compare.
    #[schema(example = "host-firewall")]
    code: String,
    /// What was checked, for people.
    name: String,
    state: CheckState,
    /// What was found.
    message: String,
    /// The command or the step that fixes it; `null` where there is nothing to fix.
    fix: Option<String>,
}

/// The checks of a machine.
#[derive(Serialize, ToSchema)]
pub struct MachineChecks {
    at: Time,
    items: Vec<MachineCheck>,
}

/// The checks of the machine
///
/// What `maliknode doctor` finds on the machine of the control plane that answers; asked
/// again within ten seconds, the same.
#[utoipa::path(
    get,
    path = "/v1/operator/checks",
    tag = "operator",
    security(("bearer" = [])),
    responses((status = 200, body = MachineChecks), Problems)
)]
pub async fn operator_checks(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
) -> Result<Json<MachineChecks>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let view = state.control.operators().checks(operator).await?;
    let item = |row: CheckRow| MachineCheck {
        code: row.name.code().trim_start_matches("check-").to_owned(),
        name: client.texts.message(&row.name),
        state: row.state.into(),
        message: client.texts.message(&row.message),
        fix: row.fix.map(|fix| client.texts.message(&fix)),
    };
    Ok(Json(MachineChecks {
        at: view.at.into(),
        items: view.rows.into_iter().map(item).collect(),
    }))
}
