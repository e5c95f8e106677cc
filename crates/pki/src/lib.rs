//! The installation's certificate authority and what it vouches for: workers, which
//! are nodes on other machines, and the control plane that they dial.
//!
//! One authority per installation signs everything. A worker knows it by the hash in its
//! join token ([`JoinToken`]) before it says the token's secret, and by its certificate
//! afterwards. A worker's certificate names its node and nothing else; the certificate of
//! a control plane is made at its start and names [`SERVER_NAME`]. Both sides speak
//! TLS 1.3 alone, without resumption, so that each connection shows a certificate.
//!
//! Dates do not decide who is who. An expired certificate of a worker is accepted by TLS
//! and reported by [`peer`], because a worker that was off for a month must be able to
//! renew; a control plane's dates are not checked at all, because the clock of a worker
//! may be wrong and the authority is pinned. What a certificate may still do is asked of
//! the database, by its serial number.

mod authority;
mod error;
mod hash;
mod hex;
mod identity;
mod peer;
mod pem;
mod request;
mod server;
mod token;
mod verify;
mod worker;

pub use authority::{Authority, NodeCertificate};
pub use error::{PkiError, refusal};
pub use hash::AuthorityHash;
pub use identity::{NodeIdentity, NodeKey};
pub use peer::{Peer, peer};
pub use token::JoinToken;
pub use worker::{client_config, joining_config};

/// The name in the certificate of every control plane. It is no name of the DNS: a worker
/// compares it whatever address it dialled.
pub const SERVER_NAME: &str = "control.maliknode.internal";
