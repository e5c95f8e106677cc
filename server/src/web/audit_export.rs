//! The audit log as a file, for operators.

use super::{auth::scope::Granted, errors, state::WebState};
use axum::{
    Extension,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use control::{AuditFormat, AuditQuery};
use domain::Failure;
use futures_util::TryStreamExt;
use serde::Deserialize;
use std::io;

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
    match export(&state, &granted, wanted).await {
        Ok(response) => response,
        Err(f) => errors::failure(&f),
    }
}

async fn export(state: &WebState, granted: &Granted, wanted: Wanted) -> Result<Response, Failure> {
    let Granted::Operator(operator) = granted else {
        return Err(Failure::signed_out());
    };
    let format = AuditFormat::parse(&wanted.format)?;
    let query = AuditQuery {
        actor: wanted.actor,
        action: wanted.action,
        tenant: wanted.tenant,
        since: wanted.since,
        until: wanted.until,
    };
    let operators = state.control.operators();
    let parts = operators.export_audit(operator, &query, format).await?;
    let name = format!("attachment; filename=\"audit.{}\"", format.extension());
    let head = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    // A failure on the way cuts the answer off, so that it is not taken for the whole.
    let body = Body::from_stream(parts.map_err(io::Error::other));
    Ok((head, body).into_response())
}
