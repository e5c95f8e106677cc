//! The audit log as a file: the whole one for operators, and a tenant's own.

use super::{auth::scope::Granted, errors, state::WebState};
use axum::{
    Extension,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use control::{AuditExport, AuditFormat, AuditQuery};
use domain::Failure;
use serde::Deserialize;

/// Which entries, and in which form.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    format: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
}

impl Wanted {
    fn query(self) -> Result<(AuditFormat, AuditQuery), Failure> {
        let query = AuditQuery {
            actor: self.actor,
            action: self.action,
            tenant: self.tenant,
            since: self.since,
            until: self.until,
        };
        Ok((AuditFormat::parse(&self.format)?, query))
    }
}

/// Answers GET `/audit/export` on the operators' host.
pub async fn audit_export(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let wanted = match wanted {
        Ok(Query(wanted)) => wanted,
        Err(e) => return errors::unreadable(e.status()),
    };
    let export = async {
        let operator = granted.operator()?;
        let (format, query) = wanted.query()?;
        let operators = state.control.operators();
        operators.export_audit(operator, &query, format).await
    };
    answer(export.await).await
}

/// Answers GET `/account/audit/export` on a tenant's host.
pub async fn account_audit_export(
    State(state): State<WebState>,
    Extension(granted): Extension<Granted>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let wanted = match wanted {
        Ok(Query(wanted)) => wanted,
        Err(e) => return errors::unreadable(e.status()),
    };
    let export = || {
        let tenant = granted.dashboard()?;
        let (format, query) = wanted.query()?;
        state.control.tenants().export_audit(tenant, &query, format)
    };
    answer(export()).await
}

async fn answer(export: Result<AuditExport, Failure>) -> Response {
    let export = match export {
        Ok(export) => export,
        Err(f) => return errors::failure(&f),
    };
    let head = [
        (header::CONTENT_TYPE, export.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, export.disposition()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    match export.parts().await {
        Ok(parts) => (head, Body::from_stream(parts)).into_response(),
        Err(f) => errors::failure(&f),
    }
}
