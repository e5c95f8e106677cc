//! What the core needs of the installation's certificate authority. The core stores the
//! authority and decides who gets a certificate; how one is made is the program's.

use domain::{Failure, NodeId, Secret, Timestamp};
use std::sync::Arc;
use store::{AuthorityPem, CertificateRecord};

/// Makes certificates and tokens.
pub trait Certificates: Send + Sync + 'static {
    /// Makes a new authority.
    ///
    /// # Errors
    /// `Internal`, without randomness.
    fn new_authority(&self, now: Timestamp) -> Result<AuthorityPem, Failure>;

    /// Makes a join token, which names the authority.
    ///
    /// # Errors
    /// `Internal`, also for an authority that cannot be read.
    fn new_token(&self, authority: &AuthorityPem) -> Result<JoinToken, Failure>;

    /// Issues a worker's certificate for the key of a request (PKCS #10, PEM), whose
    /// signature it checks.
    ///
    /// # Errors
    /// `BadRequest` for a request that cannot be used, `Internal` for an authority that
    /// cannot be read.
    fn issue(
        &self,
        authority: &AuthorityPem,
        request: &str,
        node: NodeId,
        now: Timestamp,
    ) -> Result<IssuedCertificate, Failure>;
}

/// A join token.
#[derive(Clone, Debug)]
pub struct JoinToken {
    /// Its public part.
    pub id: String,
    /// The part that a worker says only to the authority that the token names.
    pub secret: Secret,
    /// All of it, as an operator copies it.
    pub text: Secret,
}

/// A certificate that was issued.
#[derive(Clone, Debug)]
pub struct IssuedCertificate {
    /// The certificate (PEM).
    pub pem: String,
    pub record: CertificateRecord,
}

/// Whether machines may become workers of this installation.
#[derive(Clone)]
pub enum WorkerAccess {
    Allowed {
        /// Where workers reach this control plane, e.g. `https://203.0.113.7:8443`.
        address: String,
        certificates: Arc<dyn Certificates>,
    },
    /// The database is SQLite, which only one process on one machine can use.
    NeedsPostgres,
    /// No address is configured at which workers reach this control plane.
    NoAddress,
}
