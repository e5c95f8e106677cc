//! A tenant's account: its plan, its month's data and the state of its network.

use super::{
    choices::{AtLimit, QuotaState},
    plan::Plan,
    problems::Problems,
    time::Time,
};
use crate::{
    http::{
        body::Body, client::Client, etag, permission::Permission, problem::Refusal, query::Params,
    },
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use domain::{
    Access, ErrorCode, Failure, Field, Message, TenantScope, TenantStatus,
    view::{DataView, ProblemView},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The state of one part.
#[derive(Serialize, ToSchema)]
pub struct Part {
    state: PartState,
    /// What is wrong, for programs to compare.
    code: Option<String>,
    /// What is wrong, for people.
    message: Option<String>,
}

/// How far a part is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    Waiting,
    Working,
    Ready,
    Problem,
}

impl From<domain::Part<ProblemView>> for Part {
    fn from(part: domain::Part<ProblemView>) -> Self {
        let state = match &part {
            domain::Part::Waiting => PartState::Waiting,
            domain::Part::Working => PartState::Working,
            domain::Part::Ready { .. } => PartState::Ready,
            domain::Part::Problem(_) => PartState::Problem,
        };
        let problem = part.problem();
        Self {
            state,
            code: problem.map(|p| p.code.to_string()),
            message: problem.map(|p| p.message.clone()),
        }
    }
}

/// The state of a tenant's network.
#[derive(Serialize, ToSchema)]
pub struct Network {
    /// Whether everything works.
    ready: bool,
    firewall: Part,
    tunnel: Part,
    dns: Part,
}

impl From<TenantStatus<ProblemView>> for Network {
    fn from(status: TenantStatus<ProblemView>) -> Self {
        Self {
            ready: status.is_ready(),
            firewall: status.firewall.into(),
            tunnel: status.tunnel.into(),
            dns: status.dns.into(),
        }
    }
}

/// What is used of the data of a month.
#[derive(Serialize, ToSchema)]
pub struct Data {
    used_bytes: u64,
    /// `null` is no limit.
    limit_bytes: Option<u64>,
    state: QuotaState,
    at_limit: AtLimit,
    slow_bps: u64,
    period_start: Time,
    period_end: Time,
}

impl From<DataView> for Data {
    fn from(d: DataView) -> Self {
        Self {
            used_bytes: d.used_bytes,
            limit_bytes: d.limit_bytes,
            state: d.state.into(),
            at_limit: d.at_limit.into(),
            slow_bps: d.slow_bps,
            period_start: d.period_start.into(),
            period_end: d.period_end.into(),
        }
    }
}

/// An account.
#[derive(Serialize, ToSchema)]
pub struct AccountState {
    name: String,
    plan: Plan,
    /// The time zone in which the months begin.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// The address in the tunnel where DNS answers.
    gateway: String,
    network: Network,
    data: Data,
    /// The number of devices.
    devices: u32,
    /// The number of devices that are connected.
    online: u32,
}

type Tagged<T> = ([(HeaderName, HeaderValue); 1], Json<T>);

fn tag(time_zone: &str) -> String {
    etag::etag(&time_zone)
}

/// Returns the account of a tenant.
pub(super) async fn account(
    state: &ApiState,
    scope: &TenantScope,
    client: Client,
) -> Result<AccountState, Failure> {
    let view = state.control.tenants().dashboard(scope).await?;
    let view = view.map_problems(|problem| client.texts.tenant_problem(&problem));
    let (network, data) = (view.network, view.usage.data);
    let online = network.devices.iter().filter(|d| d.is_online(network.now));
    let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(AccountState {
        online: count(online.count()),
        devices: count(network.devices.len()),
        name: network.name,
        plan: network.plan.into(),
        time_zone: data.time_zone.clone(),
        gateway: network.gateway,
        network: network.status.into(),
        data: data.into(),
    })
}

/// The account
///
/// Plan, state of the network and data of the month. The ETag covers the time zone, which is
/// what can be changed.
#[utoipa::path(
    get,
    path = "/v1/account",
    tag = "account",
    security(("bearer" = [])),
    responses((status = 200, body = AccountState, headers(("ETag" = String))), Problems)
)]
pub async fn get_account(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
) -> Result<Tagged<AccountState>, Refusal> {
    let scope = permission.tenant(Access::Read)?;
    let account = account(&state, scope, client).await?;
    Ok((etag::header(&tag(&account.time_zone)), Json(account)))
}

/// What is changed of an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// A time zone of the IANA database.
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
}

/// Change the account
///
/// The current month ends on the same date in the new time zone.
#[utoipa::path(
    patch,
    path = "/v1/account",
    tag = "account",
    security(("bearer" = [])),
    params(("If-Match" = Option<String>, Header, description = "The ETag that you read.")),
    request_body = AccountChange,
    responses((status = 200, body = AccountState, headers(("ETag" = String))), Problems)
)]
pub async fn change_account(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    headers: HeaderMap,
    Body(change): Body<AccountChange>,
) -> Result<Tagged<AccountState>, Refusal> {
    let scope = permission.tenant(Access::Write)?;
    let mut expected = None;
    if etag::is_conditional(&headers) {
        let now = account(&state, scope, client).await?;
        etag::check(&headers, &tag(&now.time_zone))?;
        // Compared once more in the transaction of the change.
        expected = Some(now.time_zone);
    }
    if let Some(time_zone) = change.time_zone {
        let tenants = state.control.tenants();
        let changed = tenants.set_time_zone_if(scope, &time_zone, expected.as_deref());
        changed.await?;
    }
    let account = account(&state, scope, client).await?;
    Ok((etag::header(&tag(&account.time_zone)), Json(account)))
}

/// What confirms that an account is deleted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Confirmation {
    /// The account's name, which confirms it.
    name: String,
}

/// Delete the account
///
/// With everything that belongs to it, at once and for good.
#[utoipa::path(
    delete,
    path = "/v1/account",
    tag = "account",
    security(("bearer" = [])),
    params(Confirmation),
    responses((status = 204, description = "It is deleted."), Problems)
)]
pub async fn delete_account(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(confirmation): Params<Confirmation>,
) -> Result<StatusCode, Refusal> {
    let scope = permission.tenant(Access::Write)?;
    if confirmation.name.trim().to_ascii_lowercase() != scope.name().as_str() {
        let name = scope.name().to_string();
        let message = Message::AccountNameWrong { name };
        return Err(Failure::at(Field::Name, ErrorCode::NameMalformed, message).into());
    }
    state
        .control
        .account()
        .delete_of_request(&permission)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
