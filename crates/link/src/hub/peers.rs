//! Who is at the other end of a connection: the node that its certificate names, and
//! nothing that it says.

use super::shared::Shared;
use domain::{ErrorCode, Message, NodeId, Problem};
use pki::PkiError;
use rustls::pki_types::CertificateDer;
use std::time::Duration;

/// For how long an expired certificate may be renewed.
pub(super) const RENEWABLE: Duration = Duration::from_secs(90 * 24 * 3600);
const DAY_SECONDS: u64 = 24 * 3600;

/// A node that has shown a certificate of the installation.
#[derive(Clone, Debug)]
pub(super) struct Identified {
    pub node: NodeId,
    /// The certificate's serial number.
    pub serial: String,
    certificate: CertificateDer<'static>,
}

/// Why a node may not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The certificate is not valid at present.
    Expired(Problem),
    /// It is not, or no longer, the node's.
    NotAdmitted(Problem),
    /// Whether it is cannot be found out.
    Unknown(Problem),
}

fn refused(message: Message) -> Problem {
    Problem {
        code: ErrorCode::NodeRefused,
        message,
    }
}

/// Returns the problem of a request without a certificate.
pub(super) fn certificate_missing() -> Problem {
    refused(Message::WorkerCertificateMissing)
}

impl Identified {
    /// Reads the certificates of a handshake, which has verified them; `None` if there
    /// are none.
    ///
    /// # Errors
    /// They do not name a node.
    pub fn read(
        shared: &Shared,
        certificates: Option<&[CertificateDer<'_>]>,
    ) -> Result<Option<Self>, PkiError> {
        let Some([first, ..]) = certificates else {
            return Ok(None);
        };
        let certificate = first.clone().into_owned();
        let peer = pki::peer(std::slice::from_ref(&certificate), shared.clock.now())?;
        Ok(Some(Self {
            node: peer.node,
            serial: peer.serial,
            certificate,
        }))
    }

    /// Checks that the node may speak now. `expired` is for how long its certificate may
    /// be expired.
    ///
    /// # Errors
    /// Why it may not.
    pub async fn check(&self, shared: &Shared, expired: Duration) -> Result<(), Refusal> {
        // A connection may be older than its certificate.
        let certificate = std::slice::from_ref(&self.certificate);
        let peer = pki::peer(certificate, shared.clock.now());
        let peer = peer.map_err(|e| Refusal::NotAdmitted(refused(e.message())))?;
        let over = peer.expired_for.unwrap_or_default();
        if over > expired {
            let days = over.as_secs() / DAY_SECONDS;
            let message = match expired.is_zero() {
                true => Message::WorkerCertificateExpired { days },
                false => Message::RenewalTooLate { days },
            };
            return Err(Refusal::Expired(refused(message)));
        }
        match shared.registry.admits(self.node, &self.serial).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let problem = refused(Message::WorkerCertificateRefused);
                Err(Refusal::NotAdmitted(problem))
            }
            Err(problem) => Err(Refusal::Unknown(problem)),
        }
    }
}
