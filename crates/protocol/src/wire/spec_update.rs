//! The answer to a worker that asks for its spec: the tenants that have changed since
//! the spec it has, or all.
//!
//! On the wire, an update is a line of JSON, then the bytes of a [`NodeSpec`] with the
//! changed tenants.

use super::{MAX_SPEC_BYTES, SpecDigest, SpecFingerprints};
use crate::{NodeSpec, SpecError};
use domain::Slot;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// What a worker has, when it asks for its spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecQuery {
    /// The generation that it has in force or in its checkpoint; 0 for none.
    pub since: u64,
    /// The digest of what it has been sent; `None` after a start, because fingerprints
    /// are not in the checkpoint.
    #[serde(default)]
    pub digest: Option<SpecDigest>,
    /// How many seconds the answer may wait for a change.
    #[serde(default)]
    pub wait: u64,
}

impl SpecQuery {
    /// Reads the query of a URI, `since=7&digest=0123ab&wait=25`; `None` if it is none.
    /// Keys that are unknown are ignored, because a worker may be newer.
    pub fn from_query(query: &str) -> Option<Self> {
        let pairs: Vec<_> = query.split('&').filter_map(|p| p.split_once('=')).collect();
        let value = |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let digest = match value("digest") {
            Some(text) => Some(SpecDigest::from_hex(text)?),
            None => None,
        };
        Some(Self {
            since: value("since")?.parse().ok()?,
            digest,
            wait: value("wait").map_or(Some(0), |wait| wait.parse().ok())?,
        })
    }
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecUpdate {
    /// The new generation, and the changed tenants; all of them if `full`.
    pub spec: NodeSpec,
    /// Whether tenants that are not in it are gone.
    pub full: bool,
    /// Slots that are free now.
    pub gone: BTreeSet<Slot>,
    /// See [`SpecAnswer::restored`](crate::SpecAnswer::restored).
    pub restored: bool,
    /// The fingerprints of the changed tenants.
    pub fingerprints: SpecFingerprints,
    /// The digest of the whole spec after the update.
    pub digest: SpecDigest,
}

/// Why an update cannot be used. The worker asks again, for all.
#[derive(Debug, thiserror::Error)]
pub enum SpecUpdateError {
    /// The bytes are no update.
    #[error("the update has no valid head")]
    Head,
    /// The spec in it cannot be read.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It does not fit what the worker has.
    #[error("the update does not fit the spec that is here")]
    Misfit,
    /// It is longer than [`MAX_SPEC_BYTES`].
    #[error("the update has {0} bytes")]
    TooLong(usize),
}

/// What stands before the spec.
#[derive(Serialize, Deserialize)]
struct Head {
    full: bool,
    #[serde(default)]
    gone: BTreeSet<Slot>,
    #[serde(default)]
    restored: bool,
    fingerprints: SpecFingerprints,
    digest: SpecDigest,
}

impl SpecUpdate {
    /// Returns what leads from `before` to `now`; all of `now` if there is no `before`.
    pub fn between(
        before: Option<&SpecFingerprints>,
        now: &NodeSpec,
        fingerprints: &SpecFingerprints,
        restored: bool,
    ) -> Self {
        let none = SpecFingerprints::default();
        let known = before.unwrap_or(&none);
        let differs = |slot: &Slot| known.0.get(slot) != fingerprints.0.get(slot);
        let changed = |slot: &Slot| before.is_none() || differs(slot);
        let tenants = now.tenants.iter().filter(|(slot, _)| changed(slot));
        let unreadable = now.unreadable.iter().filter(|(slot, _)| changed(slot));
        let prints = fingerprints.0.iter().filter(|(slot, _)| changed(slot));
        let gone = known.0.keys().copied();
        Self {
            spec: NodeSpec {
                generation: now.generation,
                tenants: tenants.map(|(slot, t)| (*slot, t.clone())).collect(),
                unreadable: unreadable.map(|(slot, t)| (*slot, t.clone())).collect(),
                // Few and short, so they are always all of them.
                moved: now.moved.clone(),
                is_earlier: false,
            },
            full: before.is_none(),
            gone: gone.filter(|s| !fingerprints.0.contains_key(s)).collect(),
            restored,
            fingerprints: SpecFingerprints(prints.map(|(s, p)| (*s, p.clone())).collect()),
            digest: fingerprints.digest(),
        }
    }

    /// Applies the update to what the worker has. Returns the whole spec and its
    /// fingerprints. Tenants that have not changed stay the same `Arc`.
    ///
    /// # Errors
    /// [`SpecUpdateError::Misfit`] if the result is not what the control plane has.
    pub fn apply(
        self,
        before: Option<&NodeSpec>,
        known: &SpecFingerprints,
    ) -> Result<(NodeSpec, SpecFingerprints), SpecUpdateError> {
        let mut spec = self.spec;
        let mut prints = self.fingerprints.0;
        if !self.full {
            let before = before.ok_or(SpecUpdateError::Misfit)?;
            let kept: BTreeMap<_, _> = known
                .0
                .iter()
                .filter(|(slot, _)| !self.gone.contains(slot) && !prints.contains_key(slot))
                .map(|(slot, print)| (*slot, print.clone()))
                .collect();
            for slot in kept.keys() {
                if let Some(tenant) = before.tenants.get(slot) {
                    spec.tenants.insert(*slot, tenant.clone());
                }
                if let Some(tenant) = before.unreadable.get(slot) {
                    spec.unreadable.insert(*slot, tenant.clone());
                }
            }
            prints.extend(kept);
        }
        let prints = SpecFingerprints(prints);
        let is_whole = prints
            .0
            .keys()
            .all(|slot| spec.tenants.contains_key(slot) || spec.unreadable.contains_key(slot));
        if !is_whole || prints.digest() != self.digest {
            return Err(SpecUpdateError::Misfit);
        }
        if let Some(before) = before {
            spec.keep_unreadable(before);
        }
        Ok((spec, prints))
    }

    /// Returns the bytes on the wire, which hold every private key.
    ///
    /// # Errors
    /// [`SpecUpdateError::TooLong`].
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, SpecUpdateError> {
        let head = Head {
            full: self.full,
            gone: self.gone.clone(),
            restored: self.restored,
            fingerprints: self.fingerprints.clone(),
            digest: self.digest.clone(),
        };
        let head = serde_json::to_vec(&head).map_err(|e| SpecError::damaged(&e))?;
        let spec = self.spec.to_bytes()?;
        let length = head.len() + 1 + spec.len();
        if length > MAX_SPEC_BYTES {
            return Err(SpecUpdateError::TooLong(length));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        bytes.extend_from_slice(&head);
        bytes.push(b'\n');
        bytes.extend_from_slice(&spec);
        Ok(bytes)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`SpecUpdateError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SpecUpdateError> {
        if bytes.len() > MAX_SPEC_BYTES {
            return Err(SpecUpdateError::TooLong(bytes.len()));
        }
        let end = bytes.iter().position(|b| *b == b'\n');
        let (head, spec) = bytes.split_at(end.ok_or(SpecUpdateError::Head)?);
        let head: Head = serde_json::from_slice(head).map_err(|_| SpecUpdateError::Head)?;
        Ok(Self {
            spec: NodeSpec::from_bytes(spec)?,
            full: head.full,
            gone: head.gone,
            restored: head.restored,
            fingerprints: head.fingerprints,
            digest: head.digest,
        })
    }
}
