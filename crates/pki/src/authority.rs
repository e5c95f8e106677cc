//! The certificate authority of an installation.

use crate::{
    AuthorityHash, NodeKey, PkiError, SERVER_NAME,
    peer::{self, node_uri},
    pem,
    request::RequestedKey,
    server, token, verify,
};
use domain::{NodeId, Timestamp, time::DAY_MILLIS};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::{fmt, sync::Arc, time::Duration};
use time::OffsetDateTime;
use webpki::KeyUsage;
use zeroize::Zeroizing;

/// The authority's name. A certificate is of the authority by its signature; the name is
/// the same in all installations.
const AUTHORITY_NAME: &str = "MalikNode authority";
/// The life of the authority's certificate, in days.
const AUTHORITY_DAYS: i64 = 30 * 365;
/// The life of a control plane's certificate, in days. It is made at each start.
const SERVER_DAYS: i64 = 10 * 365;
/// The life of a worker's certificate, in days.
const NODE_DAYS: i64 = 30;

/// A worker's certificate as it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    /// The certificate (PEM).
    pub pem: String,
    /// The serial number in hexadecimal.
    pub serial: String,
    pub not_after: Timestamp,
    /// The key that it certifies, as in [`Peer::public_key`](crate::Peer::public_key).
    pub public_key: Vec<u8>,
}

/// The certificate and the private key of the authority. `Debug` does not show the key.
pub struct Authority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: NodeKey,
}

impl Authority {
    /// Makes a new authority: a P-256 key, and a certificate for 30 years.
    ///
    /// # Errors
    /// [`PkiError::NotMade`].
    pub fn generate(now: Timestamp) -> Result<Self, PkiError> {
        let key = NodeKey::generate()?;
        let params = with_life(authority_params(), now, AUTHORITY_DAYS)?;
        let certificate = params.self_signed(key.pair()).map_err(not_made)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.into(),
            key,
        })
    }

    /// Reads an authority from its certificate and its key (PKCS #8), both PEM.
    ///
    /// # Errors
    /// [`PkiError::CertificateUnreadable`], [`PkiError::KeyUnreadable`];
    /// [`PkiError::KeyOther`] if they do not belong together;
    /// [`PkiError::CertificateForeign`] if what the authority signs would not be accepted,
    /// because [`generate`](Self::generate) did not make it.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, PkiError> {
        let der = pem::certificate(certificate)?;
        let key = NodeKey::from_pem(key)?;
        let parsed = verify::parse(&der)?;
        if parsed.subject_public_key_info().as_ref() != key.public_key() {
            return Err(PkiError::KeyOther);
        }
        let authority = Self {
            certificate_pem: certificate.to_owned(),
            certificate: der,
            key,
        };
        let probe = authority.sign(CertificateParams::default(), authority.key.pair())?;
        let probe = probe.der();
        let anchor = verify::anchor(&authority.certificate)?;
        let (usage, epoch) = (
            KeyUsage::client_auth(),
            UnixTime::since_unix_epoch(Duration::ZERO),
        );
        verify::issued(&verify::parse(probe)?, &anchor, usage, epoch)?;
        Ok(authority)
    }

    /// Returns the certificate (PEM).
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns the private key (PKCS #8, PEM).
    pub fn key_pem(&self) -> &Zeroizing<String> {
        self.key.pem()
    }

    /// Returns the hash by which join tokens name the authority.
    pub fn hash(&self) -> AuthorityHash {
        AuthorityHash::of_der(&self.certificate)
    }

    /// Issues a worker's certificate for 30 days from now. It names the node, whatever
    /// the request asks for.
    ///
    /// # Errors
    /// [`PkiError::RequestInvalid`] for a request that cannot be read, that its key did
    /// not sign, or whose key is neither P-256 nor Ed25519; [`PkiError::NotMade`].
    pub fn issue_node(
        &self,
        csr: &str,
        node: NodeId,
        now: Timestamp,
    ) -> Result<NodeCertificate, PkiError> {
        let key = RequestedKey::from_pem(csr)?;
        let mut params = with_life(CertificateParams::default(), now, NODE_DAYS)?;
        params.distinguished_name = common_name(&format!("node {node}"));
        let uri = node_uri(node).try_into().map_err(not_made)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = self.sign(params, &key)?;
        let issued = peer::peer(std::slice::from_ref(certificate.der()), now)?;
        Ok(NodeCertificate {
            pem: certificate.pem(),
            serial: issued.serial,
            not_after: issued.not_after,
            public_key: issued.public_key,
        })
    }

    /// Makes the TLS configuration of a control plane with a new key and a certificate
    /// for 10 years. A worker may show a certificate; one that shows none can only join.
    /// An expired one is accepted, and [`peer`](crate::peer) says so.
    ///
    /// # Errors
    /// [`PkiError::NotMade`].
    pub fn server_config(
        &self,
        now: Timestamp,
        alpn: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, PkiError> {
        let key = NodeKey::generate()?;
        let mut params = with_life(CertificateParams::default(), now, SERVER_DAYS)?;
        params.distinguished_name = common_name("control plane");
        let name = SERVER_NAME.to_owned().try_into().map_err(not_made)?;
        params.subject_alt_names = vec![SanType::DnsName(name)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = self.sign(params, key.pair())?;
        let chain = vec![certificate.into(), self.certificate.clone()];
        let anchor = verify::anchor(&self.certificate)?;
        server::config(chain, pem::private_key(key.pem())?.into(), anchor, alpn)
    }

    fn sign(
        &self,
        params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<rcgen::Certificate, PkiError> {
        let own = authority_params();
        let issuer = Issuer::from_params(&own, self.key.pair());
        params.signed_by(key, &issuer).map_err(not_made)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.hash())
    }
}

/// Returns what all authorities' certificates have.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(AUTHORITY_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// Sets the serial number, the end of the life, and its beginning a day earlier: other
/// machines' clocks may be behind.
fn with_life(
    mut params: CertificateParams,
    now: Timestamp,
    days: i64,
) -> Result<CertificateParams, PkiError> {
    params.serial_number = Some(serial()?);
    params.not_before = date(now.plus_millis(-DAY_MILLIS))?;
    params.not_after = date(now.plus_millis(days * DAY_MILLIS))?;
    Ok(params)
}

/// Makes a random serial number. It is positive and has no leading zeros, so that it is
/// written in 16 bytes (RFC 5280, 4.1.2.2).
fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = token::random::<16>()?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&*bytes))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn date(at: Timestamp) -> Result<OffsetDateTime, PkiError> {
    OffsetDateTime::from_unix_timestamp(at.secs()).map_err(not_made)
}

fn not_made(cause: impl Into<crate::error::Cause>) -> PkiError {
    PkiError::NotMade(cause.into())
}
