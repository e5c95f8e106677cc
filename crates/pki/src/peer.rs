//! Reads from a verified certificate which node it is of.

use crate::{PkiError, hex, verify};
use domain::{NodeId, Timestamp};
use rustls_pki_types::CertificateDer;
use std::time::Duration;
use x509_cert::{Certificate, der::Decode};

/// The URI in a node's certificate, before the node's id.
const NODE_URI: &str = "maliknode://node/";

/// The node that a certificate is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub node: NodeId,
    /// The certificate's serial number in hexadecimal.
    pub serial: String,
    /// The end of the certificate's life.
    pub not_after: Timestamp,
    /// For how long it has been over; `None` while it is not.
    pub expired_for: Option<Duration>,
    /// The public key (`SubjectPublicKeyInfo`, DER), by which a renewal is found to be
    /// of the same machine.
    pub public_key: Vec<u8>,
}

/// Returns the URI of a node.
pub(crate) fn node_uri(node: NodeId) -> String {
    format!("{NODE_URI}{node}")
}

/// Reads which node the certificates are of that the other side showed in the handshake,
/// where they were verified: this verifies nothing.
///
/// # Errors
/// [`PkiError::CertificateMissing`] if there is none, as when a worker joins;
/// [`PkiError::CertificateUnreadable`] if it is no node's.
pub fn peer(certificates: &[CertificateDer<'_>], now: Timestamp) -> Result<Peer, PkiError> {
    let der = certificates.first().ok_or(PkiError::CertificateMissing)?;
    let certificate = verify::parse(der)?;
    let mut names = certificate.valid_uri_names();
    let node = match (names.next(), names.next()) {
        (Some(name), None) => node_of(name),
        _ => None,
    };
    let node = node.ok_or_else(|| unreadable("it does not name one node"))?;
    let not_after = not_after(der)?;
    let expired = u64::try_from(now.millis_since(not_after)).unwrap_or(0);
    Ok(Peer {
        node,
        serial: hex::encode(certificate.serial()),
        not_after,
        expired_for: (expired > 0).then(|| Duration::from_millis(expired)),
        public_key: certificate.subject_public_key_info().to_vec(),
    })
}

/// Returns the end of a certificate's life.
fn not_after(der: &CertificateDer<'_>) -> Result<Timestamp, PkiError> {
    let certificate = Certificate::from_der(der).map_err(unreadable)?;
    let end = certificate.tbs_certificate().validity().not_after;
    let secs = end.to_unix_duration().as_secs();
    i64::try_from(secs)
        .map(Timestamp::from_secs)
        .map_err(unreadable)
}

/// Returns the node that a URI names, if it is written as [`node_uri`] writes it.
fn node_of(uri: &str) -> Option<NodeId> {
    let node = NodeId(uri.strip_prefix(NODE_URI)?.parse().ok()?);
    (node.0 > 0 && node_uri(node) == uri).then_some(node)
}

fn unreadable(cause: impl Into<crate::error::Cause>) -> PkiError {
    PkiError::CertificateUnreadable(cause.into())
}
