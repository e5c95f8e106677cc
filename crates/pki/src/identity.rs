//! A worker's key and certificate.

use crate::{Peer, PkiError, peer, pem};
use domain::Timestamp;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use std::fmt;
use zeroize::Zeroizing;

/// A worker's private key. `Debug` does not show it.
pub struct NodeKey {
    pair: Zeroizing<KeyPair>,
    pem: Zeroizing<String>,
}

impl NodeKey {
    /// Makes a new key (P-256).
    ///
    /// # Errors
    /// [`PkiError::NotMade`] if the machine gives no random bytes.
    pub fn generate() -> Result<Self, PkiError> {
        let pair = KeyPair::generate().map_err(|e| PkiError::NotMade(e.into()))?;
        Ok(Self {
            pem: Zeroizing::new(pair.serialize_pem()),
            pair: Zeroizing::new(pair),
        })
    }

    /// Reads a key (PKCS #8, PEM).
    ///
    /// # Errors
    /// [`PkiError::KeyUnreadable`].
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        let der = pem::private_key(text)?;
        let pair = KeyPair::try_from(&der).map_err(|e| PkiError::KeyUnreadable(e.into()))?;
        Ok(Self {
            pem: Zeroizing::new(pair.serialize_pem()),
            pair: Zeroizing::new(pair),
        })
    }

    /// Returns the key (PKCS #8, PEM).
    pub fn pem(&self) -> &Zeroizing<String> {
        &self.pem
    }

    /// Returns the public key (`SubjectPublicKeyInfo`, DER).
    pub fn public_key(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// Makes a request for a certificate (PKCS #10, PEM). It asks for no name: the
    /// control plane knows which node the worker is.
    ///
    /// # Errors
    /// [`PkiError::NotMade`].
    pub fn csr(&self) -> Result<String, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params.serialize_request(&*self.pair);
        let pem = request.and_then(|request| request.pem());
        pem.map_err(|e| PkiError::NotMade(e.into()))
    }

    /// Returns the pair that signs.
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey([redacted])")
    }
}

/// A worker's key with its certificate.
#[derive(Debug)]
pub struct NodeIdentity {
    certificate: String,
    key: NodeKey,
    peer: Peer,
}

impl NodeIdentity {
    /// Makes the key of a worker that joins.
    ///
    /// # Errors
    /// [`PkiError::NotMade`] if the machine gives no random bytes.
    pub fn generate_key() -> Result<NodeKey, PkiError> {
        NodeKey::generate()
    }

    /// Puts a certificate (PEM) to its key.
    ///
    /// # Errors
    /// [`PkiError::CertificateUnreadable`] if it is no node's certificate;
    /// [`PkiError::KeyOther`] if it is of another key.
    pub fn new(certificate: &str, key: NodeKey, now: Timestamp) -> Result<Self, PkiError> {
        let peer = peer(&[pem::certificate(certificate)?], now)?;
        if peer.public_key != key.public_key() {
            return Err(PkiError::KeyOther);
        }
        Ok(Self {
            certificate: certificate.to_owned(),
            key,
            peer,
        })
    }

    /// Returns the certificate (PEM).
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Returns the key.
    pub fn key(&self) -> &NodeKey {
        &self.key
    }

    /// Returns what the certificate says, at the time that [`new`](Self::new) was given.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}
