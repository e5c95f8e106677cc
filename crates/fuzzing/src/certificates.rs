//! Join tokens, certificates, keys and requests for certificates, as another machine
//! sends them or an operator copies them.
//!
//! - A token that is accepted is printed as it was typed.
//! - A certificate that is issued for a request names the node that it was asked for,
//!   and no other, and is for the request's key.
//! - A certificate of any bytes names a node above 0, or none.
//! - A key that is accepted can sign a request, and makes no identity with a certificate
//!   of another key.

use domain::{NodeId, Timestamp};
use pki::{Authority, JoinToken, NodeIdentity, NodeKey, peer};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::sync::LazyLock;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The installation that the input is sent to, with a certificate of its own.
static OURS: LazyLock<(Authority, String)> = LazyLock::new(|| {
    let authority = Authority::generate(NOW).expect("an authority");
    let csr = NodeKey::generate().and_then(|key| key.csr());
    let issued = authority.issue_node(&csr.expect("a request"), NodeId(9), NOW);
    let issued = issued.expect("a certificate").pem;
    (authority, issued)
});

pub(crate) fn run(data: &[u8]) {
    let shown = [CertificateDer::from(data)];
    if let Ok(peer) = peer(&shown, NOW) {
        assert!(peer.node.0 > 0);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(token) = text.parse::<JoinToken>() {
        assert_eq!(token.to_string(), text.trim());
    }
    let (authority, issued) = &*OURS;
    if let Ok(certificate) = authority.issue_node(text, NodeId(7), NOW) {
        let der = CertificateDer::from_pem_slice(certificate.pem.as_bytes());
        let peer = peer(&[der.expect("a certificate")], NOW).expect("of a node");
        assert_eq!(peer.node, NodeId(7));
        assert_eq!(peer.serial, certificate.serial);
    }
    let _ = pki::client_config(text, None, b"wire");
    let _ = Authority::from_pem(text, authority.key_pem());
    let _ = Authority::from_pem(text, text);
    if let Ok(key) = NodeKey::from_pem(text) {
        assert!(key.csr().is_ok());
        assert!(NodeIdentity::new(issued, key, NOW).is_err());
    }
}
