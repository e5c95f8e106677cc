//! A worker that knows no more than the hash says its secret to its authority alone.

use crate::rig::{Installation, NOW, certificate, meet, server_with};
use pki::{PkiError, peer};

#[tokio::test]
async fn a_worker_joins_by_the_hash() {
    let ours = Installation::new();
    let shown = meet(ours.joining(), ours.server()).await.certificates();
    let peer = peer(&shown, NOW);
    assert!(matches!(peer, Err(PkiError::CertificateMissing)));
}

#[tokio::test]
async fn another_authority_hears_no_secret() {
    let (ours, theirs) = (Installation::new(), Installation::new());
    let met = meet(ours.joining(), theirs.server()).await;
    assert_eq!(met.refused_by_worker(), "AuthorityOther");
}

#[tokio::test]
async fn a_copied_authority_certificate_convinces_no_worker() {
    // The authority's certificate is public; what counts is that it issued the first one.
    let (ours, theirs) = (Installation::new(), Installation::new());
    let chain = vec![
        certificate(&theirs.certificate.pem),
        certificate(ours.authority.certificate_pem()),
    ];
    let met = meet(ours.joining(), server_with(chain, theirs.key.pem())).await;
    assert!(met.refused_by_worker().starts_with("CertificateForeign"));
}

#[tokio::test]
async fn a_worker_is_no_control_plane_to_one_that_joins() {
    let ours = Installation::new();
    let chain = vec![
        certificate(&ours.certificate.pem),
        certificate(ours.authority.certificate_pem()),
    ];
    let met = meet(ours.joining(), server_with(chain, ours.key.pem())).await;
    assert!(met.refused_by_worker().starts_with("CertificateForeign"));
}
