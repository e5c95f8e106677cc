//! What the server and the userspace child say to each other: a line of JSON
//! each way. The child greets first, with its version; then one request and
//! one reply a connection, so that nothing a failed call left behind can be
//! taken for the answer to the next.
//!
//! [`Hello`] and [`Request::Stop`] keep their form in every version: that is
//! how a server replaces a child of another version.

use domain::{ErrorCode, PresharedKey, PrivateKey, PublicKey, Slot, Timestamp};
use ipnet::{IpNet, Ipv4Net};
use provisioning::{
    observed::{ObservedPeer, PeerStatistics},
    ports::{PeerChange, PortError},
    spec::{InterfaceSpec, PeerSpec},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{Ipv4Addr, SocketAddr},
};
use zeroize::Zeroizing;

/// Changes whenever a message's meaning does.
pub const VERSION: u32 = 1;
/// Names the service in the greeting.
pub const SERVICE: &str = "maliknode wg-userspace";
/// A request's length, bytes: 253 peers take 40 KB.
pub const MAX_REQUEST: usize = 1 << 20;
/// A reply's length, bytes: a page of [`PAGE`] devices takes 2.5 MB at most.
pub const MAX_REPLY: usize = 8 << 20;
/// Interfaces in one reply.
pub const PAGE: usize = 32;

/// The child's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`SERVICE`].
    pub service: String,
    /// [`VERSION`] of the child.
    pub version: u32,
    /// The child's process id, for people.
    pub pid: u32,
}

/// What the server asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Make or correct an interface.
    Ensure(WireInterface),
    /// Change single peers.
    Change {
        slot: Slot,
        remove: Vec<PublicKey>,
        set: Vec<WirePeer>,
    },
    /// Remove an interface.
    Delete { slot: Slot },
    /// A page of the interfaces the child holds, behind this slot.
    Devices { after: Option<Slot> },
    /// A page of the counters, behind this slot.
    Statistics { after: Option<Slot> },
    /// Keep the connection open without a word: it ends when the child does.
    Watch,
    /// End; every interface goes.
    Stop,
}

/// What the child answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case", try_from = "FlatReply")]
pub enum Reply {
    /// It is done.
    Done,
    /// It is not done, and why.
    Refused {
        code: ErrorCode,
        sentence: String,
        cause: Option<String>,
    },
    /// A page of interfaces; `more` follow.
    Devices {
        devices: Vec<WireDevice>,
        more: bool,
    },
    /// A page of counters; `next` is where to go on.
    Statistics {
        counters: Vec<WireCounters>,
        next: Option<Slot>,
    },
}

/// A reply as it is read: with the members of all of them. Told apart by a tag
/// within, each page of 20,000 peers would be held as a tree first, which takes
/// several times as long as reading it.
#[derive(Deserialize)]
struct FlatReply {
    reply: Kind,
    code: Option<ErrorCode>,
    sentence: Option<String>,
    cause: Option<String>,
    devices: Option<Vec<WireDevice>>,
    more: Option<bool>,
    counters: Option<Vec<WireCounters>>,
    next: Option<Slot>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Done,
    Refused,
    Devices,
    Statistics,
}

impl TryFrom<FlatReply> for Reply {
    type Error = &'static str;
    fn try_from(flat: FlatReply) -> Result<Self, Self::Error> {
        Ok(match flat.reply {
            Kind::Done => Self::Done,
            Kind::Refused => Self::Refused {
                code: flat.code.ok_or("a refusal without a code")?,
                sentence: flat.sentence.ok_or("a refusal without a sentence")?,
                cause: flat.cause,
            },
            Kind::Devices => Self::Devices {
                devices: flat.devices.ok_or("a page without devices")?,
                more: flat
                    .more
                    .ok_or("a page that does not say whether it is the last")?,
            },
            Kind::Statistics => Self::Statistics {
                counters: flat.counters.ok_or("a page without counters")?,
                next: flat.next,
            },
        })
    }
}

/// 32 secret bytes in base64. On the socket only: prints as `[redacted]`.
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

/// An interface as it should be.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireInterface {
    pub slot: Slot,
    pub owner: String,
    pub private_key: WireSecret,
    pub address: Ipv4Net,
    pub peers: Vec<WirePeer>,
}

/// A peer as it should be.
#[derive(Debug, Serialize, Deserialize)]
pub struct WirePeer {
    pub key: PublicKey,
    pub preshared_key: WireSecret,
    pub address: Ipv4Addr,
}

/// An interface as the child has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireDevice {
    pub slot: Slot,
    /// The link's index: a link of the same name may be another.
    pub index: u32,
    pub public_key: PublicKey,
    pub listen_port: u16,
    pub peers: Vec<WireObservedPeer>,
}

/// A peer as the child has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireObservedPeer {
    pub key: PublicKey,
    pub preshared_key: Option<WireSecret>,
    pub allowed_ips: BTreeSet<IpNet>,
}

/// A peer's counters.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireCounters {
    pub slot: Slot,
    pub key: PublicKey,
    pub last_handshake: Option<Timestamp>,
    pub endpoint: Option<SocketAddr>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
}

/// A key on the wire that is none.
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
            peers: peers(w.peers)?,
        })
    }
}

impl Request {
    /// A change of single peers.
    pub fn change(slot: Slot, change: &PeerChange) -> Self {
        Self::Change {
            slot,
            remove: change.remove.clone(),
            set: wire_peers(&change.set),
        }
    }
}

fn wire_peers(peers: &BTreeMap<PublicKey, PeerSpec>) -> Vec<WirePeer> {
    let wire = peers.iter().map(|(key, spec)| WirePeer {
        key: *key,
        preshared_key: (&spec.preshared_key).into(),
        address: spec.address,
    });
    wire.collect()
}

/// The peers of a message.
pub fn peers(wire: Vec<WirePeer>) -> Result<BTreeMap<PublicKey, PeerSpec>, BadKey> {
    let parse = |w: WirePeer| {
        let spec = PeerSpec {
            preshared_key: w.preshared_key.preshared()?,
            address: w.address,
        };
        Ok((w.key, spec))
    };
    wire.into_iter().map(parse).collect()
}

impl WireObservedPeer {
    /// As it goes over the wire.
    pub fn new(key: PublicKey, peer: &ObservedPeer) -> Self {
        Self {
            key,
            preshared_key: peer.preshared_key.as_ref().map(Into::into),
            allowed_ips: peer.allowed_ips.clone(),
        }
    }

    /// As it is observed.
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

impl From<PortError> for Reply {
    fn from(e: PortError) -> Self {
        Self::Refused {
            code: e.code,
            cause: e.cause.map(|c| c.to_string()),
            sentence: e.sentence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> InterfaceSpec {
        let peer = PeerSpec {
            preshared_key: PresharedKey::from_random([4; 32]),
            address: Ipv4Addr::new(10, 88, 1, 2),
        };
        InterfaceSpec {
            slot: Slot::FIRST,
            owner: "maliknode abcd".into(),
            private_key: PrivateKey::from_random([3; 32]),
            address: "10.88.1.1/24".parse().unwrap(),
            peers: [(PublicKey::from_bytes([5; 32]), peer)].into(),
        }
    }

    #[test]
    fn an_interface_survives_the_wire() {
        let request = Request::Ensure((&spec()).into());
        let line = serde_json::to_string(&request).unwrap();
        let Request::Ensure(back) = serde_json::from_str(&line).unwrap() else {
            panic!("another request");
        };
        assert_eq!(InterfaceSpec::try_from(back).unwrap(), spec());
    }

    #[test]
    fn keys_on_the_wire_do_not_print() {
        let printed = format!("{:?}", Request::Ensure((&spec()).into()));
        assert!(printed.contains("[redacted]"));
        assert!(!printed.contains(spec().private_key.expose().as_str()));
        let psk = PresharedKey::from_random([4; 32]);
        assert!(!printed.contains(psk.expose().as_str()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let mut wire = WireInterface::from(&spec());
        wire.private_key = WireSecret(Zeroizing::new("abc".into()));
        assert_eq!(InterfaceSpec::try_from(wire).unwrap_err(), BadKey);
    }

    #[test]
    fn a_slot_outside_the_range_does_not_parse() {
        for slot in ["0", "1001", "-1", "70000", "\"1\""] {
            let line = format!("{{\"op\":\"delete\",\"slot\":{slot}}}");
            assert!(serde_json::from_str::<Request>(&line).is_err(), "{slot}");
        }
    }

    #[test]
    fn a_full_interface_fits_a_request() {
        let peers = (0..253u8).map(|n| {
            let mut key = [n; 32];
            key[0] = 255;
            let spec = PeerSpec {
                preshared_key: PresharedKey::from_random([n; 32]),
                address: Ipv4Addr::new(10, 88, 255, n),
            };
            (PublicKey::from_bytes(key), spec)
        });
        let full = InterfaceSpec {
            peers: peers.collect(),
            ..spec()
        };
        let line = serde_json::to_vec(&Request::Ensure((&full).into())).unwrap();
        assert!(line.len() < MAX_REQUEST / 8, "{}", line.len());
    }
}
