//! Requests for certificates: only the key of one counts, and its signature.

use crate::rig::{Installation, NOW, certificate};
use domain::NodeId;
use pki::{Authority, NodeKey, PkiError, peer};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ED25519,
    SanType,
};
use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject};
use webpki::EndEntityCert;

/// Writes DER as a request.
fn pem(der: &[u8]) -> String {
    let key = KeyPair::generate().unwrap();
    let whole = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    // rcgen writes PEM of its own requests only, so the body is replaced.
    let text = whole.pem().unwrap();
    let (label, end) = (text.lines().next().unwrap(), text.lines().last().unwrap());
    format!("{label}\n{}\n{end}\n", base64(der))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |all, b| all << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = group >> (18 - 6 * place) & 63;
            text.push(if place <= chunk.len() {
                char::from(DIGITS[digit as usize])
            } else {
                '='
            });
        }
    }
    text
}

fn der(csr: &str) -> Vec<u8> {
    CertificateSigningRequestDer::from_pem_slice(csr.as_bytes())
        .unwrap()
        .to_vec()
}

fn is_refused(authority: &Authority, csr: &str) -> bool {
    let issued = authority.issue_node(csr, NodeId(17), NOW);
    matches!(issued, Err(PkiError::RequestInvalid(_)))
}

#[test]
fn no_byte_of_a_request_may_differ() {
    let authority = Authority::generate(NOW).unwrap();
    let csr = der(&NodeKey::generate().unwrap().csr().unwrap());
    assert!(!is_refused(&authority, &pem(&csr)));
    for place in 0..csr.len() {
        for flip in [0x01, 0x80] {
            let mut changed = csr.clone();
            changed[place] ^= flip;
            assert!(is_refused(&authority, &pem(&changed)), "byte {place}");
        }
        assert!(
            is_refused(&authority, &pem(&csr[..place])),
            "cut at {place}"
        );
    }
    let longer = [csr.as_slice(), b"\0"].concat();
    assert!(is_refused(&authority, &pem(&longer)));
}

#[test]
fn another_key_cannot_be_put_in() {
    let authority = Authority::generate(NOW).unwrap();
    let (ours, theirs) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let csr = der(&ours.csr().unwrap());
    let at = |part: &[u8]| csr.windows(part.len()).position(|w| w == part).unwrap();
    let place = at(&ours.public_key());
    let mut changed = csr.clone();
    changed[place..place + theirs.public_key().len()].copy_from_slice(&theirs.public_key());
    assert!(is_refused(&authority, &pem(&changed)));
}

#[test]
fn what_a_request_asks_for_is_ignored() {
    let authority = Authority::generate(NOW).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([pki::SERVER_NAME.to_owned()]).unwrap();
    let other = "maliknode://node/1".to_owned().try_into().unwrap();
    params.subject_alt_names.push(SanType::URI(other));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let issued = authority.issue_node(&csr, NodeId(17), NOW).unwrap();
    let der = certificate(&issued.pem);
    assert_eq!(
        peer(std::slice::from_ref(&der), NOW).unwrap().node,
        NodeId(17)
    );
    let issued = EndEntityCert::try_from(&der).unwrap();
    assert_eq!(issued.valid_dns_names().count(), 0);
    assert_eq!(
        issued.valid_uri_names().collect::<Vec<_>>(),
        ["maliknode://node/17"]
    );
}

#[test]
fn keys_are_p256_or_ed25519() {
    let authority = Authority::generate(NOW).unwrap();
    let csr = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let csr = CertificateParams::default().serialize_request(&key);
        csr.unwrap().pem().unwrap()
    };
    assert!(!is_refused(
        &authority,
        &csr(&rcgen::PKCS_ECDSA_P256_SHA256)
    ));
    assert!(!is_refused(&authority, &csr(&PKCS_ED25519)));
    assert!(is_refused(&authority, &csr(&rcgen::PKCS_ECDSA_P384_SHA384)));
}

#[test]
fn rubbish_is_refused() {
    let ours = Installation::new();
    let csr = ours.key.csr().unwrap();
    let authority = &ours.authority;
    let around = format!("A request\r\nfor node 17 ☕\n{csr}and more\n");
    assert!(!is_refused(authority, &around), "text around it is allowed");
    let padded = format!("{csr}{}", "x".repeat(64 * 1024));
    let huge = "-----BEGIN CERTIFICATE REQUEST-----\n".repeat(100_000);
    for wrong in [
        "",
        "☕",
        "-----BEGIN CERTIFICATE REQUEST-----",
        "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n",
        "-----BEGIN CERTIFICATE REQUEST-----\n☕\n-----END CERTIFICATE REQUEST-----\n",
        &csr.replace("CERTIFICATE REQUEST", "PRIVATE KEY"),
        &csr.replace("END CERTIFICATE REQUEST", "END CERTIFICATE"),
        &format!("{csr}{csr}"),
        &padded,
        &huge,
        &ours.certificate.pem,
        ours.key.pem(),
    ] {
        let start: String = wrong.chars().take(60).collect();
        assert!(is_refused(authority, wrong), "{start}");
    }
}
