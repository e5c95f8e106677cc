//! The audit log of the installation.

use super::logs::place;
use crate::{
    http::{
        cursor::{self, Page, PageParams},
        permission::Permission,
        problem::Refusal,
        query::Params,
    },
    routes::{
        audit::{AuditEntry, File, csv, file},
        problems::Problems,
    },
    state::ApiState,
};
use axum::{Json, extract::State};
use control::{AuditFormat, AuditQuery, Numbered};
use domain::{Access, view::AuditRow};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which entries, and which page of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditParams {
    /// `next` of the page before; without it, the first page.
    cursor: Option<String>,
    /// The most items of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// A tenant's name, or `operator:` and the operator's.
    #[serde(default)]
    actor: String,
    /// An action, e.g. `device.add`.
    #[serde(default)]
    action: String,
    /// The name of the tenant that entries are about.
    #[serde(default)]
    tenant: String,
    /// Entries from then on: a date or a time in UTC (RFC 3339).
    #[serde(default)]
    since: String,
    /// Entries until then: a date, with the whole of that day, or a time in UTC.
    #[serde(default)]
    until: String,
}

/// Which entries, and in which form.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditExportParams {
    /// `csv` or `jsonl`.
    #[serde(default = "csv")]
    #[param(default = "csv", pattern = "^(csv|jsonl)$")]
    format: String,
    /// A tenant's name, or `operator:` and the operator's.
    #[serde(default)]
    actor: String,
    /// An action, e.g. `device.add`.
    #[serde(default)]
    action: String,
    /// The name of the tenant that entries are about.
    #[serde(default)]
    tenant: String,
    /// Entries from then on: a date or a time in UTC (RFC 3339).
    #[serde(default)]
    since: String,
    /// Entries until then: a date, with the whole of that day, or a time in UTC.
    #[serde(default)]
    until: String,
}

/// The audit log
///
/// What people did, newest first.
#[utoipa::path(
    get,
    path = "/v1/operator/audit",
    tag = "operator",
    security(("bearer" = [])),
    params(AuditParams),
    responses((status = 200, body = Page<AuditEntry>), Problems)
)]
pub async fn operator_audit(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<AuditParams>,
) -> Result<Json<Page<AuditEntry>>, Refusal> {
    const LIST: &str = "audit";
    let operator = permission.operator(Access::Read)?;
    let page = PageParams {
        cursor: params.cursor,
        limit: params.limit,
    };
    let (limit, before, rows) = place(LIST, &page)?;
    let query = AuditQuery {
        actor: params.actor,
        action: params.action,
        tenant: params.tenant,
        since: params.since,
        until: params.until,
    };
    let operators = state.control.operators();
    let entries = operators.audit(operator, &query, before, rows).await?;
    let shown = |e: Numbered<AuditRow>| AuditEntry::from(e.row);
    Ok(Json(cursor::page(LIST, entries, limit, |e| e.id, shown)))
}

/// The audit log as a file
///
/// All entries that match, newest first: as CSV (RFC 4180), in which a text that a spreadsheet
/// would take for a formula begins with an apostrophe, or as JSON, an object in each line.
#[utoipa::path(
    get,
    path = "/v1/operator/audit/export",
    tag = "operator",
    security(("bearer" = [])),
    params(AuditExportParams),
    responses(
        (status = 200, description = "The entries.", content((String = "text/csv"), (String = "application/jsonl"))),
        Problems
    )
)]
pub async fn operator_export_audit(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<AuditExportParams>,
) -> Result<File, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let format = AuditFormat::parse(&params.format)?;
    let query = AuditQuery {
        actor: params.actor,
        action: params.action,
        tenant: params.tenant,
        since: params.since,
        until: params.until,
    };
    let operators = state.control.operators();
    let export = operators.export_audit(operator, &query, format).await?;
    file(export).await
}
