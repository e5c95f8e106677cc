//! Reads PEM texts (RFC 7468) of one object.

use crate::{PkiError, error::Cause};
use rustls_pki_types::{
    CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer, pem::PemObject,
};

/// What all texts of this installation are well below, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Reads the certificate in a text.
///
/// # Errors
/// [`PkiError::CertificateUnreadable`] unless there is exactly one.
pub(crate) fn certificate(text: &str) -> Result<CertificateDer<'static>, PkiError> {
    only(text).map_err(PkiError::CertificateUnreadable)
}

/// Reads the private key (PKCS #8) in a text.
///
/// # Errors
/// [`PkiError::KeyUnreadable`] unless there is exactly one.
pub(crate) fn private_key(text: &str) -> Result<PrivatePkcs8KeyDer<'static>, PkiError> {
    only(text).map_err(PkiError::KeyUnreadable)
}

/// Reads the request for a certificate (PKCS #10) in a text.
///
/// # Errors
/// [`PkiError::RequestInvalid`] unless there is exactly one.
pub(crate) fn request(text: &str) -> Result<CertificateSigningRequestDer<'static>, PkiError> {
    only(text).map_err(PkiError::RequestInvalid)
}

/// Reads the only object of its kind. Text around it is allowed, as `openssl x509 -text`
/// writes it.
fn only<T: PemObject>(text: &str) -> Result<T, Cause> {
    if text.len() > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} bytes").into());
    }
    let mut found = T::pem_slice_iter(text.as_bytes());
    match (found.next(), found.next()) {
        (Some(first), None) => Ok(first?),
        (None, _) => Err("not there".into()),
        (Some(_), Some(_)) => Err("more than one".into()),
    }
}
