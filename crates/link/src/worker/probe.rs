//! A look at a control plane, for `maliknode doctor`.

use super::{address::ControlPlane, credentials::Identity, error::LinkError, requests::Connection};
use http::StatusCode;
use protocol::wire::{ADMITTED, REQUESTS, SPEC};

/// Asks a control plane whether it knows this worker. Returns the time by its clock, in
/// the form of HTTP (RFC 9110, 5.6.7), if it says so. Changes nothing.
///
/// # Errors
/// Why it does not answer, or refuses.
pub async fn probe(to: &ControlPlane, identity: &Identity) -> Result<Option<String>, LinkError> {
    match ask(to, identity, ADMITTED).await {
        // One of the version before. Nothing is known here, so its answer comes at once; it
        // is not read.
        Err(LinkError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {
            ask(to, identity, &format!("{SPEC}?since=0&wait=0")).await
        }
        answer => answer,
    }
}

async fn ask(
    to: &ControlPlane,
    identity: &Identity,
    path: &str,
) -> Result<Option<String>, LinkError> {
    let connection = Connection::open(to, identity.tls(REQUESTS)?).await?;
    connection.probe(path).await
}
