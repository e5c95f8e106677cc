//! How a machine becomes a worker.

use super::{address::ControlPlane, credentials::Identity, error::LinkError, requests::Connection};
use domain::{AddressPlan, NodeId, Timestamp};
use http::Method;
use pki::{AuthorityHash, JoinToken, NodeKey, joining_config};
use protocol::wire::{JOIN, JoinAnswer, JoinRequest, MAX_REQUEST_BYTES, REQUESTS};
use std::time::Duration;

/// What the operator says of a machine that joins.
#[derive(Clone, Debug)]
pub struct JoinParts {
    pub token: JoinToken,
    /// What the machine is called, as typed.
    pub name: String,
    /// The host that devices connect to, as typed.
    pub host: String,
    /// The version of this program.
    pub version: String,
}

/// What a machine that has joined is.
#[derive(Clone, Debug)]
pub struct Joined {
    pub node: NodeId,
    pub identity: Identity,
    /// The address ranges of the installation.
    pub addresses: AddressPlan,
}

/// Joins with a new key, as [`join_with_key`] does.
///
/// # Errors
/// As [`join_with_key`]. If the answer was lost, the token cannot be used again: the new key
/// is lost as well.
pub async fn join(
    to: &ControlPlane,
    parts: JoinParts,
    now: Timestamp,
) -> Result<Joined, LinkError> {
    join_with_key(to, parts, &NodeKey::generate()?, now).await
}

/// Joins the installation of the control plane at this address. The token's secret is
/// said only to a control plane of the authority that the token names.
///
/// # Errors
/// Why it did not work. A token that was [`Refused`](LinkError::Refused) is of no use; after
/// any other error it may be tried again with the same key, at any control plane of the
/// installation: the answer may have been lost.
pub async fn join_with_key(
    to: &ControlPlane,
    parts: JoinParts,
    key: &NodeKey,
    now: Timestamp,
) -> Result<Joined, LinkError> {
    let unusable = |reason: String| LinkError::Answer {
        address: to.to_string(),
        reason,
    };
    let authority = parts.token.authority;
    let request = JoinRequest {
        token: parts.token.credential(),
        csr: key.csr()?,
        name: parts.name,
        host: parts.host,
        version: parts.version,
    };
    let body = serde_json::to_vec(&request).map_err(|e| unusable(e.to_string()))?;
    let tls = joining_config(&authority, REQUESTS)?;
    let mut connection = Connection::open(to, tls).await?;
    let post = Connection::request(Method::POST, JOIN);
    let asking = connection.ask(post, body, Duration::ZERO, MAX_REQUEST_BYTES);
    let answer = asking.await?;
    let answer: JoinAnswer =
        serde_json::from_slice(&answer.body).map_err(|e| unusable(e.to_string()))?;
    if AuthorityHash::of_pem(&answer.authority)? != authority {
        return Err(pki::PkiError::AuthorityOther.into());
    }
    if answer.addresses.check().is_err() {
        return Err(unusable("the address ranges".to_owned()));
    }
    let identity = Identity {
        authority: answer.authority,
        certificate: answer.certificate,
        key: key.pem().clone(),
    };
    let peer = identity.check(now)?;
    if peer.node != answer.node {
        return Err(unusable("the certificate is of another node".to_owned()));
    }
    Ok(Joined {
        node: answer.node,
        identity,
        addresses: answer.addresses,
    })
}
