//! What a worker proves who it is with: its certificate and key, which a renewal
//! replaces while connections are made.

use domain::{Clock, NodeId, Timestamp};
use pki::{NodeIdentity, NodeKey, PkiError, client_config};
use rustls::ClientConfig;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// The texts of a worker's identity, as they are stored.
#[derive(Clone)]
pub struct Identity {
    /// The certificate of the installation's authority (PEM).
    pub authority: String,
    /// The worker's certificate (PEM).
    pub certificate: String,
    /// Its private key (PKCS #8, PEM).
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity([redacted])")
    }
}

impl Identity {
    /// Checks that the parts fit each other, and returns what the certificate says.
    ///
    /// # Errors
    /// What cannot be used of it.
    pub fn check(&self, now: Timestamp) -> Result<pki::Peer, PkiError> {
        self.tls(b"")?;
        let key = NodeKey::from_pem(&self.key)?;
        let identity = NodeIdentity::new(&self.certificate, key, now)?;
        Ok(identity.peer().clone())
    }

    /// Makes the configuration of connections with this ALPN.
    pub(super) fn tls(&self, alpn: &[u8]) -> Result<Arc<ClientConfig>, PkiError> {
        client_config(&self.authority, Some((&self.certificate, &self.key)), alpn)
    }
}

/// The identity that is used for new connections.
pub(super) struct Credentials {
    identity: Mutex<Identity>,
    node: NodeId,
    clock: Arc<dyn Clock>,
    /// Counts the renewals.
    renewals: watch::Sender<u64>,
}

impl Credentials {
    /// # Errors
    /// What cannot be used of the identity, or that it is of another node.
    pub fn new(identity: Identity, node: NodeId, clock: Arc<dyn Clock>) -> Result<Self, PkiError> {
        let peer = identity.check(clock.now())?;
        if peer.node != node {
            return Err(PkiError::CertificateUnreadable(
                format!("it is of node {}, not {node}", peer.node).into(),
            ));
        }
        Ok(Self {
            identity: Mutex::new(identity),
            node,
            clock,
            renewals: watch::Sender::default(),
        })
    }

    /// Returns the present identity.
    pub fn identity(&self) -> Identity {
        let identity = self.identity.lock();
        identity.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Yields at every renewal from now on. A connection with the certificate before is
    /// refused as soon as the new one is used, so it is made again.
    pub fn renewals(&self) -> watch::Receiver<u64> {
        self.renewals.subscribe()
    }

    /// Makes the configuration of new connections.
    ///
    /// # Errors
    /// What cannot be used of the identity.
    pub fn tls(&self, alpn: &[u8]) -> Result<Arc<ClientConfig>, PkiError> {
        self.identity().tls(alpn)
    }

    /// Returns for how many milliseconds the certificate is valid, by this machine's
    /// clock; negative if it has expired.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn remaining_millis(&self) -> Result<i64, PkiError> {
        let now = self.clock.now();
        let peer = self.identity().check(now)?;
        Ok(peer.not_after.0.saturating_sub(now.0))
    }

    /// Takes a certificate for the same key and node, for new connections.
    ///
    /// # Errors
    /// It is of another key or node, or cannot be read.
    pub fn renew(&self, certificate: String) -> Result<Identity, PkiError> {
        let renewed = Identity {
            certificate,
            ..self.identity()
        };
        let peer = renewed.check(self.clock.now())?;
        if peer.node != self.node {
            return Err(PkiError::KeyOther);
        }
        let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        *identity = renewed.clone();
        drop(identity);
        self.renewals
            .send_modify(|count| *count = count.wrapping_add(1));
        Ok(renewed)
    }
}
