//! The audit log of the installation.

use super::logs::place;
use crate::{
    http::{
        cursor::{self, Page, PageParams},
        permission::Permission,
        problem::Refusal,
        query::Params,
    },
    routes::{problems::Problems, time::Time},
    state::ApiState,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderName, header},
};
use control::{AuditFormat, AuditQuery, Numbered};
use domain::{Access, view::AuditRow};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What a person did.
#[derive(Serialize, ToSchema)]
pub struct AuditEntry {
    at: Time,
    /// A tenant's name, or `operator:` and the operator's.
    actor: String,
    #[schema(example = "device.add")]
    action: String,
    #[schema(example = "lina/My phone")]
    object: String,
    /// The prefix of the address that it came from; empty where there is none.
    #[schema(example = "203.0.113.7")]
    origin: String,
    /// What was changed, as it was. It has no secrets.
    before: String,
    /// What was changed, as it is.
    after: String,
    detail: String,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        Self {
            at: row.at.into(),
            actor: row.actor,
            action: row.action,
            object: row.object,
            origin: row.origin,
            before: row.before,
            after: row.after,
            detail: row.detail,
        }
    }
}

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

fn csv() -> String {
    AuditFormat::Csv.extension().to_owned()
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
) -> Result<([(HeaderName, &'static str); 1], Body), Refusal> {
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
    let parts = operators.export_audit(operator, &query, format).await?;
    let head = [(header::CONTENT_TYPE, format.media_type())];
    // A failure on the way cuts the answer off, so that it is not taken for the whole.
    Ok((
        head,
        Body::from_stream(parts.map_err(std::io::Error::other)),
    ))
}
