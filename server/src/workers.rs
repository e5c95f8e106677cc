//! Workers, as this control plane knows them: certificates by `pki`, and what the link asks
//! of the core.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use control::{Certificates, Control, IssuedCertificate, JoinToken, StoreSpecs, WorkerAccess};
use domain::{Clock, ErrorCode, Failure, Message, NodeId, Problem, Secret, Timestamp};
use link::hub::Registry;
use pki::{Authority, AuthorityHash, PkiError};
use protocol::{
    SpecFeed,
    wire::{JoinAnswer, JoinRequest, RenewAnswer, RenewRequest},
};
use std::sync::Arc;
use store::{AuthorityPem, CertificateRecord, Store};

/// Returns whether machines may become workers: not on SQLite, and where workers are told
/// an `address` at which they reach this control plane.
pub fn access(store: &Store, address: Option<String>) -> WorkerAccess {
    if store.is_sqlite() {
        return WorkerAccess::NeedsPostgres;
    }
    match address {
        Some(address) => WorkerAccess::Allowed {
            address,
            certificates: Arc::new(PkiCertificates),
        },
        None => WorkerAccess::NoAddress,
    }
}

/// Reads the stored authority, for the listener of the link.
///
/// # Errors
/// [`PkiError`] if it cannot be read.
pub fn authority(stored: &AuthorityPem) -> Result<Authority, PkiError> {
    Authority::from_pem(&stored.certificate, stored.key.expose())
}

/// Certificates and tokens by `pki`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PkiCertificates;

impl Certificates for PkiCertificates {
    fn new_authority(&self, now: Timestamp) -> Result<AuthorityPem, Failure> {
        let made = Authority::generate(now).map_err(|e| failure(&e))?;
        Ok(AuthorityPem {
            certificate: made.certificate_pem().to_owned(),
            key: Secret::new(made.key_pem().as_str()),
        })
    }

    fn new_token(&self, stored: &AuthorityPem) -> Result<JoinToken, Failure> {
        let hash = AuthorityHash::of_pem(&stored.certificate);
        let token = hash.and_then(pki::JoinToken::generate);
        let token = token.map_err(|e| failure(&e))?;
        Ok(JoinToken {
            text: Secret::new(token.to_string()),
            id: token.id,
            secret: token.secret,
        })
    }

    fn issue(
        &self,
        stored: &AuthorityPem,
        request: &str,
        node: NodeId,
        now: Timestamp,
    ) -> Result<IssuedCertificate, Failure> {
        let issued = authority(stored).and_then(|a| a.issue_node(request, node, now));
        let issued = issued.map_err(|e| failure(&e))?;
        Ok(IssuedCertificate {
            pem: issued.pem,
            record: CertificateRecord {
                serial: issued.serial,
                public_key: STANDARD.encode(issued.public_key),
                expires: issued.not_after,
            },
        })
    }
}

/// Logs the cause, and returns what the other side reads.
fn failure(e: &PkiError) -> Failure {
    let Problem { code, message } = Problem::from(e);
    if code == ErrorCode::Internal {
        return control::internal(e, |incident| Message::InternalError { incident });
    }
    tracing::info!(error = ?e, "a worker's request was refused");
    Failure::new(code, message)
}

fn problem(failure: Failure) -> Problem {
    Problem {
        code: failure.code,
        message: failure.message,
    }
}

/// What the link to the workers asks, answered by the core.
pub struct ControlRegistry {
    control: Control,
    store: Store,
    clock: Arc<dyn Clock>,
}

impl ControlRegistry {
    /// Answers by this core, over this database.
    pub fn new(control: Control, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            control,
            store,
            clock,
        }
    }
}

#[async_trait]
impl Registry for ControlRegistry {
    async fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Problem> {
        self.control.nodes().join(request).await.map_err(problem)
    }

    async fn renew(&self, node: NodeId, request: RenewRequest) -> Result<RenewAnswer, Problem> {
        let renewed = self.control.nodes().renew(node, request).await;
        renewed.map_err(problem)
    }

    async fn admits(&self, node: NodeId, serial: &str) -> Result<bool, Problem> {
        let admitted = self.control.nodes().admits(node, serial).await;
        admitted.map_err(problem)
    }

    fn feed(&self, node: NodeId) -> Arc<dyn SpecFeed> {
        Arc::new(StoreSpecs::of_worker(
            self.store.clone(),
            node,
            self.clock.clone(),
        ))
    }

    async fn generation(&self, node: NodeId) -> Result<u64, Problem> {
        self.control.nodes().generation(node).await.map_err(problem)
    }

    fn control_planes(&self) -> Vec<String> {
        let all = self.control.nodes().control_planes().into_iter();
        all.filter_map(|control_plane| control_plane.address)
            .collect()
    }

    async fn heard(&self, node: NodeId, version: &str) {
        self.control.nodes().heard(node, version).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki::NodeKey;

    const NOW: Timestamp = Timestamp::from_secs(1_795_478_400);

    #[test]
    fn a_certificate_is_recorded_with_its_key() {
        let made = PkiCertificates.new_authority(NOW).unwrap();
        let key = NodeKey::generate().unwrap();
        let csr = key.csr().unwrap();
        let issue = |csr: &str| PkiCertificates.issue(&made, csr, NodeId(7), NOW);
        let (first, second) = (issue(&csr).unwrap(), issue(&csr).unwrap());
        assert_eq!(first.record.public_key, second.record.public_key);
        assert_ne!(first.record.serial, second.record.serial);
        assert!(first.pem.starts_with("-----BEGIN CERTIFICATE-----"));
        let days = first.record.expires.millis_since(NOW) / 86_400_000;
        assert_eq!(days, 30);
        let other = NodeKey::generate().unwrap().csr().unwrap();
        let other = issue(&other).unwrap();
        assert_ne!(other.record.public_key, first.record.public_key);
        let refused = issue("no request").unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadRequest);
    }

    #[test]
    fn a_token_names_the_authority_that_made_it() {
        let made = PkiCertificates.new_authority(NOW).unwrap();
        let token = PkiCertificates.new_token(&made).unwrap();
        let parsed: pki::JoinToken = token.text.expose().parse().unwrap();
        assert_eq!(parsed.authority, authority(&made).unwrap().hash());
        assert_eq!((parsed.id, parsed.secret), (token.id, token.secret));
    }
}
