//! What can go wrong with keys, certificates and tokens.

use domain::{ErrorCode, Message, Problem};
use rustls::{CertificateError, OtherError};
use std::{error::Error as StdError, io, sync::Arc};

/// Why a key, a certificate or a token cannot be made or used. The causes are for the
/// log; [`message`](Self::message) is what a person reads.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A text that is no join token.
    #[error("not a join token")]
    TokenMalformed,
    /// The other side's authority is not the one that the join token names.
    #[error("the control plane's authority is not the one of the join token")]
    AuthorityOther,
    /// The other side showed no certificate.
    #[error("no certificate")]
    CertificateMissing,
    /// A certificate that the authority did not issue, or not for this use.
    #[error("not a certificate of this installation for this use: {0}")]
    CertificateForeign(#[source] webpki::Error),
    /// A certificate that cannot be read.
    #[error("the certificate cannot be read: {0}")]
    CertificateUnreadable(#[source] Cause),
    /// A private key that cannot be read.
    #[error("the private key cannot be read: {0}")]
    KeyUnreadable(#[source] Cause),
    /// A certificate whose key is another one.
    #[error("the certificate is of another key")]
    KeyOther,
    /// A request for a certificate that cannot be read, or that is not signed by its key.
    #[error("the certificate request is invalid: {0}")]
    RequestInvalid(#[source] Cause),
    /// A certificate or a TLS configuration could not be made.
    #[error("no certificate could be made: {0}")]
    NotMade(#[source] Cause),
}

/// The cause of a [`PkiError`]: an error of a library.
pub type Cause = Box<dyn StdError + Send + Sync>;

impl PkiError {
    /// Returns what a person reads.
    pub fn message(&self) -> Message {
        match self {
            Self::TokenMalformed => Message::JoinTokenMalformed,
            Self::AuthorityOther => Message::AuthorityOther,
            Self::CertificateMissing => Message::WorkerCertificateMissing,
            Self::CertificateForeign(_) => Message::CertificateForeign,
            Self::CertificateUnreadable(_) => Message::CertificateUnreadable,
            Self::KeyUnreadable(_) => Message::NodeKeyUnreadable,
            Self::KeyOther => Message::NodeKeyOther,
            Self::RequestInvalid(_) => Message::CertificateRequestInvalid,
            Self::NotMade(_) => Message::CertificateNotMade,
        }
    }
}

impl From<&PkiError> for Problem {
    fn from(error: &PkiError) -> Self {
        let code = match error {
            PkiError::NotMade(_) | PkiError::CertificateUnreadable(_) => ErrorCode::Internal,
            PkiError::KeyUnreadable(_) | PkiError::KeyOther => ErrorCode::Internal,
            _ => ErrorCode::BadRequest,
        };
        Self {
            code,
            message: error.message(),
        }
    }
}

impl From<PkiError> for rustls::Error {
    /// Wraps the error so that [`refusal`] finds it in what the handshake returns.
    fn from(error: PkiError) -> Self {
        let alert = match error {
            PkiError::CertificateUnreadable(_) => return CertificateError::BadEncoding.into(),
            error => OtherError(Arc::new(error)),
        };
        CertificateError::Other(alert).into()
    }
}

/// Returns why this side refused the other one's certificate, from the error of a
/// handshake; `None` where the handshake failed for another reason.
pub fn refusal(error: &io::Error) -> Option<&PkiError> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    match tls {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => {
            cause.downcast_ref()
        }
        _ => None,
    }
}
