//! A worker's end of TLS.

use crate::{AuthorityHash, PkiError, SERVER_NAME, pem, verify};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use std::sync::Arc;
use webpki::KeyUsage;

/// Makes the configuration of a worker that knows its authority, with its certificate and
/// key (PEM) once it has them. The other side has to show a certificate of that authority
/// for [`SERVER_NAME`], whatever name or address was dialled. Its dates are not checked:
/// a worker's clock may be wrong.
///
/// # Errors
/// [`PkiError::CertificateUnreadable`], [`PkiError::KeyUnreadable`];
/// [`PkiError::KeyOther`] if certificate and key do not belong together.
pub fn client_config(
    authority: &str,
    identity: Option<(&str, &str)>,
    alpn: &[u8],
) -> Result<Arc<ClientConfig>, PkiError> {
    let anchor = verify::anchor(&pem::certificate(authority)?)?;
    config(Authorities::Known(anchor), identity, alpn)
}

/// Makes the configuration of a worker that joins and knows no more of its authority than
/// the hash. The other side sends its authority's certificate too; one with another hash
/// is refused with [`PkiError::AuthorityOther`] ([`crate::refusal`]) before the worker
/// says anything.
///
/// # Errors
/// [`PkiError::NotMade`] if rustls refuses the configuration.
pub fn joining_config(hash: &AuthorityHash, alpn: &[u8]) -> Result<Arc<ClientConfig>, PkiError> {
    config(Authorities::Hashed(*hash), None, alpn)
}

fn config(
    authorities: Authorities,
    identity: Option<(&str, &str)>,
    alpn: &[u8],
) -> Result<Arc<ClientConfig>, PkiError> {
    let builder = ClientConfig::builder_with_provider(verify::provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| PkiError::NotMade(e.into()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ControlPlanes(authorities)));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![pem::certificate(certificate)?];
            let key = pem::private_key(key)?;
            builder
                .with_client_auth_cert(chain, key.into())
                .map_err(|e| match e {
                    rustls::Error::InconsistentKeys(_) => PkiError::KeyOther,
                    e => PkiError::KeyUnreadable(e.into()),
                })?
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    // A resumed session would be that of the certificate before.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// What a worker knows of its authority.
#[derive(Debug)]
enum Authorities {
    Known(TrustAnchor<'static>),
    Hashed(AuthorityHash),
}

/// Verifies a control plane's certificate.
#[derive(Debug)]
struct ControlPlanes(Authorities);

impl ControlPlanes {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), PkiError> {
        let certificate = verify::parse(end_entity)?;
        let usage = KeyUsage::server_auth();
        match &self.0 {
            Authorities::Known(anchor) => verify::issued(&certificate, anchor, usage, now)?,
            Authorities::Hashed(hash) => {
                let mut rest = rest.iter();
                let authority = rest.find(|c| AuthorityHash::of_der(c) == *hash);
                let anchor = verify::anchor(authority.ok_or(PkiError::AuthorityOther)?)?;
                verify::issued(&certificate, &anchor, usage, now)?;
            }
        }
        let name = ServerName::try_from(SERVER_NAME).map_err(|e| PkiError::NotMade(e.into()))?;
        let named = certificate.verify_is_valid_for_subject_name(&name);
        named.map_err(PkiError::CertificateForeign)
    }
}

impl ServerCertVerifier for ControlPlanes {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify::no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify::handshake_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        verify::schemes()
    }
}
