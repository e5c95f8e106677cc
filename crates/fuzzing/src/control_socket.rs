//! Lines on the socket between the server and the userspace WireGuard.
//!
//! - The message does not depend on how the line arrives, is never longer than
//!   the limit, and is the same when it is written and read again.
//! - An error quotes nothing of the line, which may contain keys.

use crate::block_on;
use protocol::PeerStatistics;
use provisioning::spec::InterfaceSpec;
use serde_json::Value;
use tokio::io::BufReader;
use wireguard::userspace::{
    line_codec::{self, CodecError},
    protocol::{Hello, Reply, Request},
    wire::{WireCounters, WireInterface, peers},
};

/// A limit that an input can exceed, in bytes.
const MAX: usize = 2048;

fn read<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    buffer: usize,
) -> Result<Option<T>, CodecError> {
    block_on(line_codec::read(
        &mut BufReader::with_capacity(buffer, bytes),
        MAX,
    ))
}

pub(crate) fn run(data: &[u8]) {
    let Some((kind, line)) = data.split_first() else {
        return;
    };
    let buffer = 1 + usize::from(kind / 3);
    match kind % 3 {
        0 => any::<Request>(line, buffer, request),
        1 => any::<Reply>(line, buffer, reply),
        _ => any::<Hello>(line, buffer, drop),
    }
}

fn any<T>(line: &[u8], buffer: usize, check: impl FnOnce(T))
where
    T: serde::de::DeserializeOwned + serde::Serialize,
{
    let once = read::<Value>(line, 8192);
    let read_message = read::<T>(line, buffer);
    let end = line.iter().position(|b| *b == b'\n');
    match &read_message {
        Ok(None) => assert!(line.is_empty()),
        Ok(Some(message)) => {
            assert!(matches!(once, Ok(Some(_))), "not JSON, and accepted");
            assert!(end.is_some_and(|e| e <= MAX));
            let mut wire = Vec::new();
            // It may be longer than the input: numbers and escapes are written out.
            let written = block_on(line_codec::write(&mut wire, message, MAX * 8));
            written.expect("a message can be written");
            let again: T = serde_json::from_slice(&wire).expect("a written message can be read");
            let json = |m: &T| serde_json::to_string(m).expect("a message is JSON");
            assert_eq!(json(&again), json(message), "another message");
        }
        Err(e) => {
            // Only our own words and numbers.
            let text = format!("{e} {e:?}");
            let plain = |c: char| c.is_ascii_alphanumeric() || " ()".contains(c);
            assert!(text.len() < 120 && text.chars().all(plain), "{text}");
            match e {
                CodecError::TooLong(max) => assert!(*max == MAX && end.is_none_or(|e| e > MAX)),
                CodecError::Truncated => assert!(end.is_none() && line.len() <= MAX),
                CodecError::Malformed(_) => assert!(end.is_some()),
                CodecError::Io(e) => panic!("memory does not fail: {e}"),
            }
        }
    }
    if let Ok(Some(message)) = read_message {
        check(message);
    }
}

fn request(message: Request) {
    let debug = format!("{message:?}");
    match message {
        Request::Ensure(interface) => {
            let Ok(spec) = InterfaceSpec::try_from(interface) else {
                return;
            };
            assert!(
                !debug.contains(spec.private_key.expose().as_str()),
                "a key in a log"
            );
            let again = InterfaceSpec::try_from(WireInterface::from(&spec));
            assert_eq!(again.as_ref(), Ok(&spec));
        }
        Request::Change { set, .. } => {
            if let Ok(set) = peers(set) {
                for peer in set.values() {
                    assert!(!debug.contains(peer.preshared_key.expose().as_str()));
                }
            }
        }
        _ => {}
    }
}

fn reply(message: Reply) {
    match message {
        Reply::Devices { devices, .. } => {
            for peer in devices.into_iter().flat_map(|d| d.peers) {
                let _ = peer.observed();
            }
        }
        Reply::Statistics { counters, .. } => {
            for counter in counters {
                let there = PeerStatistics::from(counter);
                let back = PeerStatistics::from(WireCounters::from(there.clone()));
                assert_eq!(back, there);
            }
        }
        Reply::Done | Reply::Refused { .. } => {}
    }
}
