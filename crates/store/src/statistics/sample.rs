//! A reading of one peer.

use domain::{PublicKey, Timestamp};
use std::net::SocketAddr;

/// The counters of a peer, as read from its interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatSample {
    pub public_key: PublicKey,
    /// The bytes received from the peer since the interface was created.
    pub rx_bytes: u64,
    /// The bytes sent to the peer since the interface was created.
    pub tx_bytes: u64,
    /// The latest handshake, if any.
    pub last_handshake: Option<Timestamp>,
    /// The address from which the peer last sent packets.
    pub endpoint: Option<SocketAddr>,
}
