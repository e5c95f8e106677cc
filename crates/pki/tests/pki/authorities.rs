//! The authority itself: how it is stored, what it issues, and what is never printed.

use crate::rig::{ALPN, DAY, Installation, NOW, certificate, meet};
use domain::{NodeId, Timestamp};
use pki::{Authority, AuthorityHash, JoinToken, NodeIdentity, NodeKey, PkiError, peer};
use sha2::{Digest, Sha256};

#[tokio::test]
async fn a_stored_authority_is_the_same_one() {
    let ours = Installation::new();
    let stored = ours.authority.certificate_pem();
    let again = Authority::from_pem(stored, ours.authority.key_pem()).unwrap();
    assert_eq!(again.hash(), ours.authority.hash());
    assert_eq!(again.certificate_pem(), stored);
    // A second control plane, with a certificate of its own, and a worker of the first.
    let server = again.server_config(NOW, &[ALPN]).unwrap();
    assert_eq!(
        meet(ours.worker(), server.clone())
            .await
            .certificates()
            .len(),
        1
    );
    assert_eq!(meet(ours.joining(), server).await.certificates().len(), 0);
}

#[test]
fn certificate_and_key_belong_together() {
    let (ours, theirs) = (Installation::new(), Installation::new());
    let (certificate, key) = (ours.authority.certificate_pem(), ours.authority.key_pem());
    let read = |certificate: &str, key: &str| Authority::from_pem(certificate, key).unwrap_err();
    let other = read(certificate, theirs.authority.key_pem());
    assert!(matches!(other, PkiError::KeyOther));
    let other = read(&ours.certificate.pem, ours.key.pem());
    assert!(
        matches!(other, PkiError::CertificateForeign(_)),
        "a worker's"
    );
    for wrong in [
        "",
        "☕",
        key.as_str(),
        &certificate[..certificate.len() / 2],
    ] {
        let error = read(wrong, key);
        assert!(
            matches!(error, PkiError::CertificateUnreadable(_)),
            "{error}"
        );
    }
    for wrong in [
        "",
        "☕",
        certificate,
        &key[..key.len() / 2],
        &format!("{}{}", **key, **key),
    ] {
        let error = read(certificate, wrong);
        assert!(matches!(error, PkiError::KeyUnreadable(_)), "{error}");
    }
}

#[test]
fn the_hash_is_that_of_the_certificate() {
    let authority = Authority::generate(NOW).unwrap();
    let der = certificate(authority.certificate_pem());
    let hex: String = Sha256::digest(&der)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(authority.hash().to_string(), hex);
    assert_eq!(hex.parse::<AuthorityHash>().unwrap(), authority.hash());
    let read = AuthorityHash::of_pem(authority.certificate_pem());
    assert_eq!(read.unwrap(), authority.hash());
    let other = Authority::generate(NOW).unwrap();
    assert_ne!(other.hash(), authority.hash());
}

#[test]
fn a_renewal_has_another_serial_number() {
    let ours = Installation::new();
    let csr = ours.key.csr().unwrap();
    let later = NOW.plus_millis(15 * DAY);
    let renewed = ours.authority.issue_node(&csr, NodeId(17), later).unwrap();
    assert_ne!(renewed.serial, ours.certificate.serial);
    assert_eq!(renewed.serial.len(), 32);
    assert_eq!(renewed.not_after, later.plus_millis(30 * DAY));
    let (old, new) = (
        certificate(&ours.certificate.pem),
        certificate(&renewed.pem),
    );
    let key = |der| peer(&[der], NOW).unwrap().public_key;
    assert_eq!(key(old), key(new));
}

#[test]
fn a_time_that_cannot_be_is_an_error() {
    let authority = Authority::generate(NOW).unwrap();
    for wrong in [Timestamp(i64::MAX), Timestamp(i64::MIN)] {
        assert!(matches!(
            Authority::generate(wrong),
            Err(PkiError::NotMade(_))
        ));
        let config = authority.server_config(wrong, &[ALPN]);
        assert!(matches!(config, Err(PkiError::NotMade(_))));
    }
}

#[test]
fn no_secret_is_printed() {
    let ours = Installation::new();
    let token = JoinToken::generate(ours.authority.hash()).unwrap();
    let key = NodeKey::from_pem(ours.key.pem()).unwrap();
    let identity = NodeIdentity::new(&ours.certificate.pem, key, NOW).unwrap();
    let printed = format!(
        "{:?}{:#?}{:?}{:#?}{:?}{:#?}{:?}{:#?}{:?}",
        ours.authority,
        ours.authority,
        ours.key,
        ours.key,
        identity,
        identity,
        token,
        token,
        token.credential(),
    );
    let bodies = |pem: &str| pem.lines().nth(1).unwrap().to_owned();
    for secret in [
        bodies(ours.authority.key_pem()),
        bodies(ours.key.pem()),
        token.secret.expose().to_owned(),
    ] {
        assert!(!printed.contains(&secret));
    }
}
