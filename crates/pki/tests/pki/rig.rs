//! An installation with a worker, clocks that are set, and a handshake between them.

use domain::{NodeId, Timestamp};
use pki::{Authority, NodeCertificate, NodeKey, SERVER_NAME};
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
use rustls::{ClientConfig, ServerConfig, time_provider::TimeProvider};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject,
};
use std::{io, sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub const ALPN: &[u8] = b"maliknode/1";
/// When everything was made.
pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
/// What the worker says first.
pub const SAID: &[u8] = b"the secret of the token";

/// An authority with the key and the certificate of node 17.
pub struct Installation {
    pub authority: Authority,
    pub key: NodeKey,
    pub certificate: NodeCertificate,
}

impl Installation {
    pub fn new() -> Self {
        let authority = Authority::generate(NOW).unwrap();
        let key = NodeKey::generate().unwrap();
        let csr = key.csr().unwrap();
        let certificate = authority.issue_node(&csr, NodeId(17), NOW).unwrap();
        Self {
            authority,
            key,
            certificate,
        }
    }

    /// The control plane's configuration; its clock is at `NOW`.
    pub fn server(&self) -> ServerConfig {
        server_at(self.authority.server_config(NOW, &[ALPN]).unwrap(), NOW)
    }

    /// The worker's configuration; its clock is at `NOW`.
    pub fn worker(&self) -> ClientConfig {
        let identity = Some((self.certificate.pem.as_str(), self.key.pem().as_str()));
        let authority = self.authority.certificate_pem();
        client_at(pki::client_config(authority, identity, ALPN).unwrap(), NOW)
    }

    /// The configuration of a worker that joins by this authority's hash.
    pub fn joining(&self) -> ClientConfig {
        let hash = self.authority.hash();
        client_at(pki::joining_config(&hash, ALPN).unwrap(), NOW)
    }

    /// A certificate that the authority's key signs for `key`, with everything as in `params`.
    pub fn sign(&self, params: CertificateParams, key: &KeyPair) -> CertificateDer<'static> {
        let mut own = CertificateParams::default();
        own.distinguished_name = DistinguishedName::new();
        own.distinguished_name
            .push(DnType::CommonName, "MalikNode authority");
        let signer = KeyPair::from_pem(self.authority.key_pem()).unwrap();
        let issuer = Issuer::new(own, signer);
        params.signed_by(key, &issuer).unwrap().into()
    }
}

/// What both ends of a handshake met with.
pub struct Met {
    /// The answer to what the worker said.
    pub worker: io::Result<Vec<u8>>,
    /// What the control plane heard, with the certificates it was shown.
    pub server: io::Result<(Vec<u8>, Vec<CertificateDer<'static>>)>,
    /// Whether the worker's session was resumed.
    pub resumed: bool,
}

impl Met {
    /// The certificates of a connection on which both ends spoke.
    pub fn certificates(self) -> Vec<CertificateDer<'static>> {
        assert_eq!(self.worker.unwrap(), SAID);
        let (heard, certificates) = self.server.unwrap();
        assert_eq!(heard, SAID);
        certificates
    }

    /// Why the worker refused the control plane, which heard nothing of it.
    pub fn refused_by_worker(self) -> String {
        assert!(self.server.is_err(), "nothing is said before");
        refusal(&self.worker.unwrap_err())
    }

    /// Why the control plane refused the worker, which got no answer.
    pub fn refused_by_server(self) -> String {
        assert!(self.worker.is_err(), "no answer");
        refusal(&self.server.unwrap_err())
    }
}

fn refusal(error: &io::Error) -> String {
    pki::refusal(error).map_or_else(|| error.to_string(), |cause| format!("{cause:?}"))
}

/// Connects both ends; the worker says [`SAID`] and the control plane says it back.
pub async fn meet(
    client: impl Into<Arc<ClientConfig>>,
    server: impl Into<Arc<ServerConfig>>,
) -> Met {
    let (near, far) = tokio::io::duplex(4096);
    let connector = TlsConnector::from(client.into());
    let acceptor = TlsAcceptor::from(server.into());
    let worker = async {
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        let mut stream = connector.connect(name, near).await?;
        stream.write_all(SAID).await?;
        let mut answer = vec![0; SAID.len()];
        stream.read_exact(&mut answer).await?;
        let kind = stream.get_ref().1.handshake_kind();
        io::Result::Ok((answer, kind == Some(rustls::HandshakeKind::Resumed)))
    };
    let control_plane = async {
        let mut stream = acceptor.accept(far).await?;
        let mut heard = vec![0; SAID.len()];
        stream.read_exact(&mut heard).await?;
        stream.write_all(&heard).await?;
        stream.flush().await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        io::Result::Ok((heard, shown.to_vec()))
    };
    let both = async { tokio::join!(worker, control_plane) };
    let bound = Duration::from_secs(10);
    let (worker, server) = tokio::time::timeout(bound, both).await.unwrap();
    let resumed = worker.as_ref().is_ok_and(|(_, resumed)| *resumed);
    Met {
        worker: worker.map(|(answer, _)| answer),
        server,
        resumed,
    }
}

/// The same configuration with a clock at this time.
pub fn server_at(config: Arc<ServerConfig>, now: Timestamp) -> ServerConfig {
    let mut config = Arc::unwrap_or_clone(config);
    config.time_provider = Arc::new(Fixed(now));
    config
}

/// The same configuration with a clock at this time.
pub fn client_at(config: Arc<ClientConfig>, now: Timestamp) -> ClientConfig {
    let mut config = Arc::unwrap_or_clone(config);
    config.time_provider = Arc::new(Fixed(now));
    config
}

/// A control plane that shows any chain.
pub fn server_with(chain: Vec<CertificateDer<'static>>, key: &str) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, private_key(key))
        .unwrap();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

pub fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

pub fn private_key(pem: &str) -> PrivateKeyDer<'static> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes());
    key.unwrap().into()
}

/// A clock that stands still.
#[derive(Debug)]
pub struct Fixed(pub Timestamp);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        let secs = u64::try_from(self.0.secs()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(secs)))
    }
}
