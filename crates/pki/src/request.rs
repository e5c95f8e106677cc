//! Reads requests for certificates (PKCS #10, RFC 2986). Nothing of one is used but the
//! public key, and the signature that shows that the sender has the private key.

use crate::{PkiError, error::Cause, pem};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData, SignatureAlgorithm};
use rustls_pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;
use x509_cert::{
    der::{Decode, Encode, Reader, SliceReader, oid::ObjectIdentifier},
    request::CertReq,
};

/// `ecdsa-with-SHA256`, RFC 5758.
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// `id-Ed25519`, RFC 8410.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The public key of a request that its private key signed.
pub(crate) struct RequestedKey {
    bytes: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl RequestedKey {
    /// Reads a request and verifies its signature.
    ///
    /// # Errors
    /// [`PkiError::RequestInvalid`]: no request, a key that is neither P-256 nor Ed25519,
    /// or a signature of another key.
    pub(crate) fn from_pem(text: &str) -> Result<Self, PkiError> {
        verified(&pem::request(text)?).map_err(PkiError::RequestInvalid)
    }
}

fn verified(der: &[u8]) -> Result<RequestedKey, Cause> {
    let request = CertReq::from_der(der)?;
    let (algorithm, verification): (_, &dyn SignatureVerificationAlgorithm) =
        match request.algorithm.oid {
            ECDSA_SHA256 => (&PKCS_ECDSA_P256_SHA256, webpki::ring::ECDSA_P256_SHA256),
            ED25519 => (&PKCS_ED25519, webpki::ring::ED25519),
            other => return Err(format!("signatures by {other} are not known").into()),
        };
    let signature = request
        .signature
        .as_bytes()
        .ok_or("a signature of broken bytes")?;
    let key = request.info.public_key;
    let spki = SubjectPublicKeyInfoDer::from(key.to_der()?);
    let signed = signed_part(der)?;
    RawPublicKeyEntity::try_from(&spki)?.verify_signature(verification, signed, signature)?;
    let bytes = key
        .subject_public_key
        .as_bytes()
        .ok_or("a key of broken bytes")?;
    Ok(RequestedKey {
        bytes: bytes.to_vec(),
        algorithm,
    })
}

/// Returns the bytes that the signature is of, as they came.
fn signed_part(der: &[u8]) -> x509_cert::der::Result<&[u8]> {
    SliceReader::new(der)?.sequence(|request| {
        let info = request.tlv_bytes()?;
        let _algorithm = request.tlv_bytes()?;
        let _signature = request.tlv_bytes()?;
        Ok(info)
    })
}
