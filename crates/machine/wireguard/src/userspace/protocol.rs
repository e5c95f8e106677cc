//! The protocol between the server and the userspace child: lines of JSON. The
//! child greets first, with its version. Each connection has one request and one
//! reply, so that the reply to a failed call cannot be mistaken for the reply to
//! the next.
//!
//! [`Hello`] and [`Request::Stop`] have the same form in every version, so that a
//! server can replace a child of another version.

use super::wire::{WireCounters, WireDevice, WireInterface, WirePeer, wire_peers};
use domain::{ErrorCode, Message, PublicKey, Slot};
use provisioning::ports::{PeerChange, PortError};
use serde::{Deserialize, Serialize};

/// The version of the protocol. It changes whenever the meaning of a message does.
pub const VERSION: u32 = 2;
/// The name of the service in the greeting.
pub const SERVICE: &str = "maliknode wg-userspace";
/// The longest request in bytes; 253 peers take 40 kB.
pub const MAX_REQUEST: usize = 1 << 20;
/// The longest reply in bytes; a page of [`PAGE`] devices takes 2.5 MB at most.
pub const MAX_REPLY: usize = 8 << 20;
/// The number of interfaces in one reply.
pub const PAGE: usize = 32;

/// The first line that the child sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The name of the service, [`SERVICE`].
    pub service: String,
    /// The child's [`VERSION`].
    pub version: u32,
    /// The child's process id.
    pub pid: u32,
}

/// A request of the server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Creates or corrects an interface.
    Ensure(WireInterface),
    /// Changes single peers.
    Change {
        slot: Slot,
        remove: Vec<PublicKey>,
        set: Vec<WirePeer>,
    },
    /// Removes an interface.
    Delete { slot: Slot },
    /// Reads a page of the child's interfaces, after this slot.
    Devices { after: Option<Slot> },
    /// Reads a page of the counters, after this slot.
    Statistics { after: Option<Slot> },
    /// Keeps the connection open without a reply, until the child ends.
    Watch,
    /// Stops the child and removes every interface.
    Stop,
}

/// A reply of the child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case", try_from = "FlatReply")]
pub enum Reply {
    /// The request was executed.
    Done,
    /// The request was not executed, for this reason.
    Refused {
        code: ErrorCode,
        message: Message,
        /// The message as text, which is all that version 1 had at first: a server of
        /// that time needs it.
        #[serde(rename = "sentence")]
        text: String,
        cause: Option<String>,
    },
    /// A page of interfaces; `more` says whether others follow.
    Devices {
        devices: Vec<WireDevice>,
        more: bool,
    },
    /// A page of counters; the next page is after the slot `next`.
    Statistics {
        counters: Vec<WireCounters>,
        next: Option<Slot>,
    },
}

/// A reply as it is parsed: with the members of every kind. With serde's internal
/// tag, each page of 20,000 peers would first be parsed into a tree, which takes
/// several times as long.
#[derive(Deserialize)]
struct FlatReply {
    reply: Kind,
    code: Option<ErrorCode>,
    /// A [`Message`]; as any JSON, because a newer child may have other messages.
    message: Option<serde_json::Value>,
    #[serde(rename = "sentence")]
    text: Option<String>,
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
            Kind::Refused => {
                let text = flat.text.ok_or("a refusal without a message")?;
                let message = flat.message.map(serde_json::from_value);
                // Of a message that this version does not know, the text says more.
                let is_known = |m: &Message| !matches!(m, Message::OtherVersion { .. });
                let message = message.and_then(Result::ok).filter(is_known);
                Self::Refused {
                    code: flat.code.ok_or("a refusal without a code")?,
                    message: message.unwrap_or_else(|| Message::Verbatim { text: text.clone() }),
                    text,
                    cause: flat.cause,
                }
            }
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

impl Request {
    /// Creates the request for a change of single peers.
    pub fn change(slot: Slot, change: &PeerChange) -> Self {
        Self::Change {
            slot,
            remove: change.remove.clone(),
            set: wire_peers(&change.set),
        }
    }
}

impl From<PortError> for Reply {
    fn from(e: PortError) -> Self {
        Self::Refused {
            code: e.code,
            cause: e.cause.map(|c| c.to_string()),
            text: e.message.to_string(),
            message: e.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{PresharedKey, PrivateKey};
    use provisioning::spec::{InterfaceSpec, PeerSpec};
    use std::net::Ipv4Addr;

    fn spec() -> InterfaceSpec {
        let peer = PeerSpec {
            preshared_key: PresharedKey::from_random([4; 32]),
            address: Ipv4Addr::new(10, 88, 1, 2),
            address6: "fd00::1:0:0:0:2".parse().ok(),
        };
        InterfaceSpec {
            slot: Slot::FIRST,
            owner: "maliknode abcd".into(),
            private_key: PrivateKey::from_random([3; 32]),
            address: "10.88.1.1/24".parse().unwrap(),
            address6: "fd00:0:0:1::1/64".parse().ok(),
            peers: [(PublicKey::from_bytes([5; 32]), peer)].into(),
        }
    }

    #[test]
    fn an_interface_parses_as_it_was_sent() {
        let request = Request::Ensure((&spec()).into());
        let line = serde_json::to_string(&request).unwrap();
        let Request::Ensure(back) = serde_json::from_str(&line).unwrap() else {
            panic!("another request");
        };
        assert_eq!(InterfaceSpec::try_from(back).unwrap(), spec());
    }

    #[test]
    fn a_refusal_is_read_from_every_child_of_version_1() {
        let refused = |line: &str| match serde_json::from_str(line).unwrap() {
            Reply::Refused { code, message, .. } => (code, message),
            other => panic!("{other:?}"),
        };
        let interface = Slot::FIRST.interface();
        let error = PortError::new(ErrorCode::NotFound, Message::InterfaceAbsent { interface });
        let message = error.message.clone();
        let line = serde_json::to_string(&Reply::from(error)).unwrap();
        assert_eq!(refused(&line), (ErrorCode::NotFound, message));
        let text = "The interface wg1 is not there (yet).";
        let earlier =
            format!("{{\"reply\":\"refused\",\"code\":\"not_found\",\"sentence\":\"{text}\"}}");
        let as_text = Message::Verbatim { text: text.into() };
        assert_eq!(refused(&earlier), (ErrorCode::NotFound, as_text.clone()));
        let newer = earlier.replace("}", ",\"message\":{\"code\":\"from-tomorrow\"}}");
        assert_eq!(refused(&newer), (ErrorCode::NotFound, as_text));
    }

    #[test]
    fn keys_in_requests_print_as_redacted() {
        let printed = format!("{:?}", Request::Ensure((&spec()).into()));
        assert!(printed.contains("[redacted]"));
        assert!(!printed.contains(spec().private_key.expose().as_str()));
        let psk = PresharedKey::from_random([4; 32]);
        assert!(!printed.contains(psk.expose().as_str()));
    }

    #[test]
    fn an_invalid_slot_does_not_parse() {
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
                address6: format!("fd12:3456:789a:3e8::{n:x}").parse().ok(),
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
