//! Fingerprints of tenants, by which both sides find out that they have the same spec
//! without sending it. A worker keeps the fingerprints that it got and computes none:
//! a worker of an older version ignores fields and would compute others.

use crate::{NodeSpec, spec::SpecError};
use domain::Slot;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt, sync::Arc};
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

/// The fingerprint of each tenant of a spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecFingerprints(pub(super) BTreeMap<Slot, String>);

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

    /// Returns the fingerprint of all.
    pub fn digest(&self) -> SpecDigest {
        let mut hash = Sha256::new();
        for (slot, print) in &self.0 {
            hash.update(slot.get().to_be_bytes());
            hash.update(print.as_bytes());
        }
        SpecDigest(hex(&hash.finalize()))
    }
}

fn fingerprint(tenant: &impl Serialize) -> Result<String, SpecError> {
    // It holds keys.
    let text = serde_json::to_vec(tenant).map_err(|e| SpecError::damaged(&e))?;
    Ok(hex(&Sha256::digest(&*Zeroizing::new(text))))
}

fn hex(hash: &[u8]) -> String {
    hash.iter()
        .take(BYTES)
        .map(|b| format!("{b:02x}"))
        .collect()
}
