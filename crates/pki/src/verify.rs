//! Verifies certificates against the authority. Both ends use this; what they differ in
//! is the use that the certificate must be for.

use crate::PkiError;
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring},
};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::sync::Arc;
use webpki::{EndEntityCert, Error, KeyUsage};

/// Returns ring with its default cipher suites.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Returns the signature algorithms that may have signed a certificate or a handshake.
pub(crate) fn algorithms() -> WebPkiSupportedAlgorithms {
    ring::default_provider().signature_verification_algorithms
}

/// Returns the authority's name and key.
///
/// # Errors
/// [`PkiError::CertificateUnreadable`] if it is no certificate.
pub(crate) fn anchor(authority: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, PkiError> {
    webpki::anchor_from_trusted_cert(authority)
        .map(|anchor| anchor.to_owned())
        .map_err(|e| PkiError::CertificateUnreadable(e.into()))
}

/// Verifies that the authority itself issued the certificate for this use. Its dates are
/// not checked: a date cannot be forged, and what it means is for [`crate::peer`] to say.
///
/// # Errors
/// [`PkiError::CertificateForeign`].
pub(crate) fn issued(
    certificate: &EndEntityCert<'_>,
    authority: &TrustAnchor<'_>,
    usage: KeyUsage,
    now: UnixTime,
) -> Result<(), PkiError> {
    let at = |time| {
        let anchors = std::slice::from_ref(authority);
        let all = algorithms().all;
        let path = certificate.verify_for_usage(all, anchors, &[], time, usage, None, None);
        path.map(|_| ())
    };
    // webpki names the nearest date on which the certificate is valid.
    match at(now) {
        Err(Error::CertExpired { not_after, .. }) => at(not_after),
        Err(Error::CertNotValidYet { not_before, .. }) => at(not_before),
        verdict => verdict,
    }
    .map_err(PkiError::CertificateForeign)
}

/// Parses the certificate that the other side showed.
///
/// # Errors
/// [`PkiError::CertificateUnreadable`].
pub(crate) fn parse<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<EndEntityCert<'a>, PkiError> {
    EndEntityCert::try_from(certificate).map_err(|e| PkiError::CertificateUnreadable(e.into()))
}

/// Verifies that the other side has the private key of the certificate.
pub(crate) fn handshake_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms())
}

/// Refuses TLS 1.2, which neither end offers.
pub(crate) fn no_tls12() -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::Error::General("TLS 1.2 is not offered".to_owned()))
}

/// Returns the schemes that [`handshake_signature`] verifies.
pub(crate) fn schemes() -> Vec<SignatureScheme> {
    algorithms().supported_schemes()
}
