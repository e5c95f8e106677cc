//! Entries of the audit log, and what it says of a tenant.

use super::{problems::Problems, time::Time};
use crate::{
    http::{
        cursor::{self, Page},
        permission::Permission,
        problem::Refusal,
        query::Params,
    },
    state::ApiState,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderName, header},
};
use control::{AuditExport, AuditFormat, AuditQuery, Numbered};
use domain::{Access, view::AuditRow};
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
pub struct OwnAuditParams {
    /// `next` of the page before; without it, the first page.
    cursor: Option<String>,
    /// The most items of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// Your name, or `operator:` and an operator's.
    #[serde(default)]
    actor: String,
    /// An action, e.g. `device.add`.
    #[serde(default)]
    action: String,
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
pub struct OwnAuditExportParams {
    /// `csv` or `jsonl`.
    #[serde(default = "csv")]
    #[param(default = "csv", pattern = "^(csv|jsonl)$")]
    format: String,
    /// Your name, or `operator:` and an operator's.
    #[serde(default)]
    actor: String,
    /// An action, e.g. `device.add`.
    #[serde(default)]
    action: String,
    /// Entries from then on: a date or a time in UTC (RFC 3339).
    #[serde(default)]
    since: String,
    /// Entries until then: a date, with the whole of that day, or a time in UTC.
    #[serde(default)]
    until: String,
}

/// Returns the form of a file where none is asked for.
pub fn csv() -> String {
    AuditFormat::Csv.extension().to_owned()
}

/// An answer that is a file.
pub type File = ([(HeaderName, String); 2], Body);

/// Returns an exported audit log as an answer.
///
/// # Errors
/// `DatabaseUnavailable`.
pub async fn file(export: AuditExport) -> Result<File, Refusal> {
    let head = [
        (header::CONTENT_TYPE, export.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, export.disposition()),
    ];
    Ok((head, Body::from_stream(export.parts().await?)))
}

/// Your audit log
///
/// What was done to your account and network, and by whom, newest first.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "security",
    security(("bearer" = [])),
    params(OwnAuditParams),
    responses((status = 200, body = Page<AuditEntry>), Problems)
)]
pub async fn list_audit(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<OwnAuditParams>,
) -> Result<Json<Page<AuditEntry>>, Refusal> {
    const LIST: &str = "own-audit";
    let scope = permission.tenant(Access::Read)?;
    let limit = cursor::limit(params.limit)?;
    let before = cursor::parse(LIST, params.cursor.as_deref())?;
    // One more than the page has says whether there is another.
    let rows = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let query = AuditQuery {
        actor: params.actor,
        action: params.action,
        tenant: String::new(),
        since: params.since,
        until: params.until,
    };
    let tenants = state.control.tenants();
    let before = before.unwrap_or(i64::MAX);
    let entries = tenants.audit(scope, &query, before, rows).await?;
    let shown = |e: Numbered<AuditRow>| AuditEntry::from(e.row);
    Ok(Json(cursor::page(LIST, entries, limit, |e| e.id, shown)))
}

/// Your audit log as a file
///
/// All entries that match, newest first: as CSV (RFC 4180), in which a text that a spreadsheet
/// would take for a formula begins with an apostrophe, or as JSON, an object in each line.
#[utoipa::path(
    get,
    path = "/v1/audit/export",
    tag = "security",
    security(("bearer" = [])),
    params(OwnAuditExportParams),
    responses(
        (status = 200, description = "The entries.", content((String = "text/csv"), (String = "application/jsonl"))),
        Problems
    )
)]
pub async fn export_audit(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<OwnAuditExportParams>,
) -> Result<File, Refusal> {
    let scope = permission.tenant(Access::Read)?;
    let format = AuditFormat::parse(&params.format)?;
    let query = AuditQuery {
        actor: params.actor,
        action: params.action,
        tenant: String::new(),
        since: params.since,
        until: params.until,
    };
    let export = state
        .control
        .tenants()
        .export_audit(scope, &query, format)?;
    file(export).await
}
