//! The hash by which an authority is known before its certificate is.

use crate::{PkiError, hex, pem};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};
use subtle::ConstantTimeEq;

/// SHA-256 of the DER of an authority's certificate, printed as 64 lower-case
/// hexadecimal digits: what `openssl x509 -outform DER | sha256sum` prints.
#[derive(Clone, Copy)]
pub struct AuthorityHash([u8; 32]);

impl AuthorityHash {
    /// Computes that of a certificate.
    ///
    /// # Errors
    /// [`PkiError::CertificateUnreadable`] unless the text has exactly one certificate.
    pub fn of_pem(certificate: &str) -> Result<Self, PkiError> {
        Ok(Self::of_der(&pem::certificate(certificate)?))
    }

    /// Computes that of a certificate's DER.
    pub(crate) fn of_der(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

/// Takes the same time for all values.
impl PartialEq for AuthorityHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for AuthorityHash {}

impl fmt::Display for AuthorityHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for AuthorityHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorityHash({self})")
    }
}

impl FromStr for AuthorityHash {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, PkiError> {
        hex::decode(text).map(Self).ok_or(PkiError::TokenMalformed)
    }
}
