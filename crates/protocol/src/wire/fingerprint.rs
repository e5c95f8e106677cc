//! Fingerprints of tenants, by which both sides find out that they have the same spec
//! without sending it. A worker keeps the fingerprints that it got and computes none:
//! a worker of an older version ignores fields and would compute others.

use crate::{NodeSpec, SpecChanges, UnreadableTenant, spec::SpecError};
use domain::Slot;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};
use zeroize::Zeroizing;

/// The bytes of a fingerprint that are used: half of SHA-256.
const BYTES: usize = 16;

/// A fingerprint of a whole spec: equal for equal fingerprints of its tenants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecDigest(String);

impl SpecDigest {
    /// Reads its text, which is hexadecimal.
    pub fn from_hex(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        (is_hex && text.len() == 2 * BYTES).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for SpecDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The fingerprint of a tenant. A control plane keeps those of all tenants, so it is short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fingerprint {
    /// As [`fingerprint`] computes it.
    Hash([u8; BYTES]),
    /// The text of another version.
    Other(Box<str>),
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hash(bytes) => serializer.serialize_str(as_str(&hex(bytes))),
            Self::Other(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = parse_hex(&text);
        Ok(bytes.map_or_else(|| Self::Other(text.into()), Self::Hash))
    }
}

/// The fingerprint of each tenant of a spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecFingerprints(pub(super) BTreeMap<Slot, Fingerprint>);

impl SpecFingerprints {
    /// Computes those of a spec. A tenant that is the same `Arc` as in `before` keeps
    /// its fingerprint, so that the cost is that of the changed tenants.
    ///
    /// # Errors
    /// Never for a spec that this program made; serde's signature has one.
    pub fn of(spec: &NodeSpec, before: Option<(&NodeSpec, &Self)>) -> Result<Self, SpecError> {
        let mut fingerprints = BTreeMap::new();
        for (slot, tenant) in &spec.tenants {
            let unreadable = spec.unreadable.get(slot);
            let known = before.and_then(|(spec, prints)| {
                let same = Arc::ptr_eq(spec.tenants.get(slot)?, tenant);
                let same = same && spec.unreadable.get(slot) == unreadable;
                same.then(|| prints.0.get(slot).cloned()).flatten()
            });
            let print = match known {
                Some(print) => print,
                None => fingerprint(&(tenant.as_ref(), unreadable))?,
            };
            fingerprints.insert(*slot, print);
        }
        for (slot, unreadable) in spec.unknown_tenants() {
            fingerprints.insert(slot, fingerprint(unreadable)?);
        }
        Ok(Self(fingerprints))
    }

    /// Computes those of the tenants that have changed. Returns them alone.
    ///
    /// # Errors
    /// Never for a spec that this program made; serde's signature has one.
    pub fn update(&mut self, changes: &SpecChanges) -> Result<Self, SpecError> {
        let mut changed = BTreeMap::new();
        for tenant in &changes.changed {
            let readable = None::<&UnreadableTenant>;
            changed.insert(tenant.slot, fingerprint(&(tenant.as_ref(), readable))?);
        }
        for (slot, unreadable) in &changes.unreadable {
            changed.insert(*slot, fingerprint(unreadable)?);
        }
        self.0.retain(|slot, _| !changes.removed.contains(slot));
        let copied = changed.iter().map(|(slot, print)| (*slot, print.clone()));
        self.0.extend(copied);
        Ok(Self(changed))
    }

    /// Returns the slots of the spec, those of unreadable tenants included.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.0.keys().copied()
    }

    /// Returns the fingerprint of all.
    pub fn digest(&self) -> SpecDigest {
        let mut hash = Sha256::new();
        for (slot, print) in &self.0 {
            hash.update(slot.get().to_be_bytes());
            match print {
                Fingerprint::Hash(bytes) => hash.update(hex(bytes)),
                Fingerprint::Other(text) => hash.update(text.as_bytes()),
            }
        }
        let text = hex(&short(&hash.finalize()));
        SpecDigest(as_str(&text).to_owned())
    }
}

fn fingerprint(tenant: &impl Serialize) -> Result<Fingerprint, SpecError> {
    // It holds keys.
    let text = serde_json::to_vec(tenant).map_err(|e| SpecError::damaged(&e))?;
    let hash = Sha256::digest(&*Zeroizing::new(text));
    Ok(Fingerprint::Hash(short(&hash)))
}

/// Returns the part of a hash that is used.
fn short(hash: &[u8]) -> [u8; BYTES] {
    let mut short = [0; BYTES];
    short
        .iter_mut()
        .zip(hash)
        .for_each(|(to, from)| *to = *from);
    short
}

/// Returns the digits of a fingerprint, in lower case.
fn hex(bytes: &[u8; BYTES]) -> [u8; 2 * BYTES] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 2 * BYTES];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// Returns digits as text.
fn as_str(digits: &[u8; 2 * BYTES]) -> &str {
    // Digits are ASCII.
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Reads what [`hex`] wrote; `None` for any other text.
fn parse_hex(text: &str) -> Option<[u8; BYTES]> {
    let digits: &[u8; 2 * BYTES] = text.as_bytes().try_into().ok()?;
    let digit = |d: u8| match d {
        b'0'..=b'9' => Some(d - b'0'),
        b'a'..=b'f' => Some(d - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
