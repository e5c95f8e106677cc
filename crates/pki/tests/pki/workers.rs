//! A worker with a certificate, and a control plane: who is accepted by whom.

use crate::rig::{
    ALPN, DAY, Fixed, HOUR, Installation, NOW, certificate, client_at, meet, private_key,
    server_at, server_with,
};
use domain::{NodeId, Timestamp};
use pki::{NodeIdentity, NodeKey, Peer, PkiError, SERVER_NAME, peer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig,
    client::ResolvesClientCert,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::CertificateDer;
use std::{sync::Arc, time::Duration};

/// Connects with both clocks set, and returns what the control plane reads of the worker.
async fn peer_with_clocks(worker: Timestamp, control_plane: Timestamp) -> Peer {
    let ours = Installation::new();
    let client = client_at(ours.worker().into(), worker);
    let server = server_at(ours.server().into(), control_plane);
    let shown = meet(client, server).await.certificates();
    let peer = peer(&shown, control_plane).unwrap();
    assert_eq!(peer.node, NodeId(17));
    assert_eq!(peer.serial, ours.certificate.serial);
    assert_eq!(peer.not_after, ours.certificate.not_after);
    assert_eq!(peer.public_key, ours.key.public_key());
    peer
}

/// Connects a worker that shows any chain with any key.
async fn shown_by(ours: &Installation, chain: Vec<CertificateDer<'static>>, key: &str) -> String {
    let key = rustls::crypto::ring::sign::any_supported_type(&private_key(key)).unwrap();
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let mut config = ours.worker();
    config.client_auth_cert_resolver = Arc::new(shown) as Arc<dyn ResolvesClientCert>;
    meet(config, ours.server()).await.refused_by_server()
}

#[tokio::test]
async fn a_worker_is_read_from_its_certificate() {
    let peer = peer_with_clocks(NOW, NOW).await;
    assert_eq!(peer.expired_for, None);
    assert_eq!(peer.not_after, NOW.plus_millis(30 * DAY));
}

#[tokio::test]
async fn an_expired_certificate_is_accepted_and_reported() {
    for late in [HOUR, 100 * DAY] {
        let now = NOW.plus_millis(30 * DAY + late);
        let peer = peer_with_clocks(now, now).await;
        let late = Duration::from_millis(late.unsigned_abs());
        assert_eq!(peer.expired_for, Some(late));
    }
}

#[tokio::test]
async fn wrong_clocks_refuse_no_connection() {
    let year = 365 * DAY;
    for off in [-20 * year, -year, -HOUR, HOUR, year, 20 * year] {
        let peer = peer_with_clocks(NOW.plus_millis(off), NOW).await;
        assert_eq!(peer.expired_for, None, "the worker's, off by {off} ms");
    }
    for off in [-year, -HOUR, HOUR] {
        let peer = peer_with_clocks(NOW, NOW.plus_millis(off)).await;
        assert_eq!(
            peer.expired_for, None,
            "the control plane's, off by {off} ms"
        );
    }
}

#[tokio::test]
async fn a_foreign_worker_is_refused() {
    let (ours, theirs) = (Installation::new(), Installation::new());
    let chain = vec![
        certificate(&theirs.certificate.pem),
        certificate(theirs.authority.certificate_pem()),
    ];
    let why = shown_by(&ours, chain, theirs.key.pem()).await;
    assert!(why.starts_with("CertificateForeign"), "{why}");
}

#[tokio::test]
async fn an_expired_foreign_worker_is_refused() {
    let (ours, theirs) = (Installation::new(), Installation::new());
    let now = NOW.plus_millis(31 * DAY);
    let mut worker = ours.worker();
    let identity = (&*theirs.certificate.pem, theirs.key.pem().as_str());
    let authority = ours.authority.certificate_pem();
    let foreign = pki::client_config(authority, Some(identity), ALPN).unwrap();
    worker.client_auth_cert_resolver = foreign.client_auth_cert_resolver.clone();
    let server = server_at(ours.server().into(), now);
    let why = meet(worker, server).await.refused_by_server();
    assert!(why.starts_with("CertificateForeign"), "{why}");
}

#[tokio::test]
async fn a_foreign_control_plane_is_refused() {
    let (ours, theirs) = (Installation::new(), Installation::new());
    let met = meet(ours.worker(), theirs.server()).await;
    assert!(met.refused_by_worker().starts_with("CertificateForeign"));
}

#[tokio::test]
async fn a_worker_is_no_control_plane() {
    let ours = Installation::new();
    let chain = vec![certificate(&ours.certificate.pem)];
    let met = meet(ours.worker(), server_with(chain, ours.key.pem())).await;
    assert!(met.refused_by_worker().starts_with("CertificateForeign"));
}

#[tokio::test]
async fn a_control_plane_needs_its_name() {
    let ours = Installation::new();
    let key = KeyPair::generate().unwrap();
    for (name, accepted) in [(SERVER_NAME, true), ("example.com", false)] {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let chain = vec![ours.sign(params, &key)];
        let server = server_with(chain, &key.serialize_pem());
        let met = meet(ours.worker(), server).await;
        assert_eq!(met.worker.is_ok(), accepted, "{name}");
    }
}

#[tokio::test]
async fn a_control_plane_is_no_worker() {
    let ours = Installation::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
    let node = "maliknode://node/17".to_owned().try_into().unwrap();
    params.subject_alt_names.push(SanType::URI(node));
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let chain = vec![ours.sign(params, &key)];
    let why = shown_by(&ours, chain, &key.serialize_pem()).await;
    assert!(why.starts_with("CertificateForeign"), "{why}");
}

#[tokio::test]
async fn a_worker_issues_no_certificates() {
    let ours = Installation::new();
    let signer = KeyPair::from_pem(ours.key.pem()).unwrap();
    let mut own = CertificateParams::default();
    own.distinguished_name = rcgen::DistinguishedName::new();
    own.distinguished_name
        .push(rcgen::DnType::CommonName, "node 17");
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    let node = "maliknode://node/1".to_owned().try_into().unwrap();
    params.subject_alt_names = vec![SanType::URI(node)];
    let forged = params.signed_by(&key, &Issuer::new(own, signer)).unwrap();
    let chain = vec![forged.into(), certificate(&ours.certificate.pem)];
    let why = shown_by(&ours, chain, &key.serialize_pem()).await;
    assert!(why.starts_with("CertificateForeign"), "{why}");
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let ours = Installation::new();
    let thief = NodeKey::generate().unwrap();
    let chain = vec![certificate(&ours.certificate.pem)];
    let why = shown_by(&ours, chain, thief.pem()).await;
    assert!(why.contains("BadSignature"), "{why}");
}

#[tokio::test]
async fn each_connection_shows_its_certificate() {
    let ours = Installation::new();
    let (worker, server) = (Arc::new(ours.worker()), Arc::new(ours.server()));
    for _ in 0..3 {
        let met = meet(worker.clone(), server.clone()).await;
        assert!(!met.resumed);
        assert_eq!(met.certificates().len(), 1);
    }
}

#[tokio::test]
async fn tls_1_2_and_other_protocols_are_refused() {
    let ours = Installation::new();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(rustls::RootCertStore::empty());
    let mut old = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    old.alpn_protocols = vec![ALPN.to_vec()];
    old.time_provider = Arc::new(Fixed(NOW));
    assert!(meet(old, ours.server()).await.server.is_err());

    let mut other = ours.worker();
    other.alpn_protocols = vec![b"h2".to_vec()];
    assert!(meet(other, ours.server()).await.server.is_err());
}

#[test]
fn a_certificate_of_another_key_is_refused() {
    let (ours, theirs) = (Installation::new(), Installation::new());
    let identity = (&*ours.certificate.pem, theirs.key.pem().as_str());
    let config = pki::client_config(ours.authority.certificate_pem(), Some(identity), ALPN);
    assert!(matches!(config, Err(PkiError::KeyOther)));
    let identity = NodeIdentity::new(&ours.certificate.pem, theirs.key, NOW);
    assert!(matches!(identity, Err(PkiError::KeyOther)));
    let identity = NodeIdentity::new(&ours.certificate.pem, ours.key, NOW).unwrap();
    assert_eq!(identity.peer().node, NodeId(17));
}

#[test]
fn only_a_nodes_certificate_names_a_node() {
    let ours = Installation::new();
    let key = KeyPair::generate().unwrap();
    let named = |names: &[&str]| {
        let mut params = CertificateParams::default();
        let uri = |name: &&str| SanType::URI((*name).to_owned().try_into().unwrap());
        params.subject_alt_names = names.iter().map(uri).collect();
        peer(&[ours.sign(params, &key)], NOW).map(|peer| peer.node)
    };
    assert_eq!(named(&["maliknode://node/3"]).unwrap(), NodeId(3));
    for wrong in [
        &[][..],
        &["maliknode://node/"],
        &["maliknode://node/0"],
        &["maliknode://node/-3"],
        &["maliknode://node/+3"],
        &["maliknode://node/03"],
        &["maliknode://node/3/4"],
        &["maliknode://node/99999999999999999999"],
        &["https://node/3"],
        &["maliknode://node/3", "maliknode://node/4"],
    ] {
        let found = named(wrong);
        assert!(
            matches!(found, Err(PkiError::CertificateUnreadable(_))),
            "{wrong:?}"
        );
    }
}
