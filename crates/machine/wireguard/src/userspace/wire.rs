//! The values inside requests and replies, and their conversions from and to the
//! types of the port.

use domain::{PresharedKey, PrivateKey, PublicKey, Slot, Timestamp};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use protocol::PeerStatistics;
use provisioning::{
    observed::ObservedPeer,
    spec::{InterfaceSpec, PeerSpec},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};
use zeroize::Zeroizing;

/// 32 secret bytes in base64, for the socket only. It prints as `[redacted]`.
#[derive(Clone)]
pub struct WireSecret(Zeroizing<String>);

impl Serialize for WireSecret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WireSecret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|s| Self(Zeroizing::new(s)))
    }
}

impl fmt::Debug for WireSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The wanted state of an interface.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireInterface {
    pub slot: Slot,
    pub owner: String,
    pub private_key: WireSecret,
    pub address: Ipv4Net,
    pub address6: Option<Ipv6Net>,
    pub peers: Vec<WirePeer>,
}

/// The wanted state of a peer.
#[derive(Debug, Serialize, Deserialize)]
pub struct WirePeer {
    pub key: PublicKey,
    pub preshared_key: WireSecret,
    pub address: Ipv4Addr,
    pub address6: Option<Ipv6Addr>,
}

/// The actual state of an interface.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireDevice {
    pub slot: Slot,
    /// The link's index; another link may have the same name later.
    pub index: u32,
    pub public_key: PublicKey,
    pub listen_port: u16,
    pub peers: Vec<WireObservedPeer>,
}

/// The actual state of a peer.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireObservedPeer {
    pub key: PublicKey,
    pub preshared_key: Option<WireSecret>,
    pub allowed_ips: BTreeSet<IpNet>,
}

/// The counters of a peer.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireCounters {
    pub slot: Slot,
    pub key: PublicKey,
    pub last_handshake: Option<Timestamp>,
    pub endpoint: Option<SocketAddr>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
}

/// The error for a malformed key in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key in the message is not 32 bytes of base64")]
pub struct BadKey;

impl From<&PrivateKey> for WireSecret {
    fn from(k: &PrivateKey) -> Self {
        Self(k.expose())
    }
}

impl From<&PresharedKey> for WireSecret {
    fn from(k: &PresharedKey) -> Self {
        Self(k.expose())
    }
}

impl WireSecret {
    fn preshared(&self) -> Result<PresharedKey, BadKey> {
        PresharedKey::parse(&self.0).map_err(|_| BadKey)
    }
}

impl From<&InterfaceSpec> for WireInterface {
    fn from(spec: &InterfaceSpec) -> Self {
        Self {
            slot: spec.slot,
            owner: spec.owner.clone(),
            private_key: (&spec.private_key).into(),
            address: spec.address,
            address6: spec.address6,
            peers: wire_peers(&spec.peers),
        }
    }
}

impl TryFrom<WireInterface> for InterfaceSpec {
    type Error = BadKey;
    fn try_from(w: WireInterface) -> Result<Self, BadKey> {
        Ok(Self {
            slot: w.slot,
            owner: w.owner,
            private_key: PrivateKey::parse(&w.private_key.0).map_err(|_| BadKey)?,
            address: w.address,
            address6: w.address6,
            peers: peers(w.peers)?,
        })
    }
}

/// Converts peers for a request.
pub(super) fn wire_peers(peers: &BTreeMap<PublicKey, PeerSpec>) -> Vec<WirePeer> {
    let wire = peers.iter().map(|(key, spec)| WirePeer {
        key: *key,
        preshared_key: (&spec.preshared_key).into(),
        address: spec.address,
        address6: spec.address6,
    });
    wire.collect()
}

/// Converts the peers of a request.
pub fn peers(wire: Vec<WirePeer>) -> Result<BTreeMap<PublicKey, PeerSpec>, BadKey> {
    let parse = |w: WirePeer| {
        let spec = PeerSpec {
            preshared_key: w.preshared_key.preshared()?,
            address: w.address,
            address6: w.address6,
        };
        Ok((w.key, spec))
    };
    wire.into_iter().map(parse).collect()
}

impl WireObservedPeer {
    /// Converts a peer for the socket.
    pub fn new(key: PublicKey, peer: &ObservedPeer) -> Self {
        Self {
            key,
            preshared_key: peer.preshared_key.as_ref().map(Into::into),
            allowed_ips: peer.allowed_ips.clone(),
        }
    }

    /// Converts a peer from the socket.
    pub fn observed(self) -> Result<(PublicKey, ObservedPeer), BadKey> {
        let psk = self.preshared_key.map(|s| s.preshared()).transpose()?;
        let peer = ObservedPeer {
            preshared_key: psk,
            allowed_ips: self.allowed_ips,
        };
        Ok((self.key, peer))
    }
}

impl From<WireCounters> for PeerStatistics {
    fn from(w: WireCounters) -> Self {
        Self {
            slot: w.slot,
            public_key: w.key,
            last_handshake: w.last_handshake,
            endpoint: w.endpoint,
            rx_bytes: w.rx_bytes,
            tx_bytes: w.tx_bytes,
        }
    }
}

impl From<PeerStatistics> for WireCounters {
    fn from(s: PeerStatistics) -> Self {
        Self {
            slot: s.slot,
            key: s.public_key,
            last_handshake: s.last_handshake,
            endpoint: s.endpoint,
            rx_bytes: s.rx_bytes,
            tx_bytes: s.tx_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_keys_are_rejected() {
        let mut wire = WireInterface::from(&spec());
        wire.private_key = WireSecret(Zeroizing::new("abc".into()));
        assert_eq!(InterfaceSpec::try_from(wire).unwrap_err(), BadKey);
    }

    fn spec() -> InterfaceSpec {
        let peer = PeerSpec {
            preshared_key: PresharedKey::from_random([4; 32]),
            address: Ipv4Addr::new(10, 88, 1, 2),
            address6: None,
        };
        InterfaceSpec {
            slot: Slot::FIRST,
            owner: "maliknode abcd".into(),
            private_key: PrivateKey::from_random([3; 32]),
            address: "10.88.1.1/24".parse().unwrap(),
            address6: None,
            peers: [(PublicKey::from_bytes([5; 32]), peer)].into(),
        }
    }
}
