//! What a node should hold, whole, with a generation number, and its bytes.

use crate::{
    moved::MovedTenant,
    other_version,
    tenant_spec::TenantSpec,
    unreadable::{UnreadableTenant, read_tenants},
};
use domain::{Slot, TenantName};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, io, sync::Arc};
use zeroize::Zeroizing;

/// The version that [`NodeSpec::to_bytes`] writes.
const VERSION: u32 = 2;

/// Everything a node should hold. The node removes what carries our name or
/// label and is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeSpec {
    /// Grows with every change.
    pub generation: u64,
    /// The tenants, by slot. A tenant that has not changed since the last spec
    /// is the same `Arc`.
    #[serde(serialize_with = "as_list")]
    pub tenants: BTreeMap<Slot, Arc<TenantSpec>>,
    /// The slots whose tenant could not be read. What such a tenant has on the node
    /// stays as it is. Where the node still knows what is in force for it, that is in
    /// `tenants` under the same slot ([`keep_unreadable`](Self::keep_unreadable)).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unreadable: BTreeMap<Slot, UnreadableTenant>,
    /// The tenants that left the node for another one, by their slot, while something of
    /// them stays. No tenant of this spec has such a slot.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub moved: BTreeMap<Slot, MovedTenant>,
    /// Whether an earlier process stored it, and no control plane has answered since. It
    /// may be older than what is on the machine, so a slot without a tenant may have one
    /// all the same: what is there stays. It is said by who loads the spec, and not stored.
    #[serde(skip)]
    pub is_earlier: bool,
}

/// Why bytes are no spec. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// They were written by a newer version.
    #[error("the spec has version {0}; this program reads up to {VERSION}")]
    Newer(u32),
    /// They are damaged, or never were a spec. Only the place is named: serde's
    /// message may quote the value that it found there, which may be a key.
    #[error("the bytes are no spec (line {line}, column {column})")]
    Damaged {
        /// The line, from 1; 0 if no place is known.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
}

impl SpecError {
    /// A slot is held twice.
    const TWICE: Self = Self::Damaged { line: 0, column: 0 };

    pub(crate) fn damaged(e: &serde_json::Error) -> Self {
        Self::Damaged {
            line: e.line(),
            column: e.column(),
        }
    }
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    #[serde(flatten)]
    spec: &'a NodeSpec,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// What is read before its tenants, so that one of them that cannot be read does not
/// make the others unreadable.
#[derive(Deserialize)]
struct Read<'a> {
    generation: u64,
    #[serde(borrow)]
    tenants: Vec<&'a RawValue>,
    #[serde(default)]
    unreadable: BTreeMap<Slot, UnreadableTenant>,
    #[serde(default, deserialize_with = "other_version::moved")]
    moved: BTreeMap<Slot, MovedTenant>,
}

impl NodeSpec {
    /// Completes this spec from the one before it: a tenant that cannot be read keeps
    /// what the earlier spec has for it.
    pub fn keep_unreadable(&mut self, before: &NodeSpec) {
        let lost: Vec<(Slot, Arc<TenantSpec>)> = self
            .unknown_tenants()
            .filter_map(|(slot, unreadable)| {
                let kept = before.tenants.get(&slot)?;
                let stays = unreadable.may_be(kept) && !self.has_elsewhere(&kept.name, slot);
                stays.then(|| (slot, kept.clone()))
            })
            .collect();
        self.tenants.extend(lost);
    }

    /// Returns whether another slot's tenant has the name. Names are unique, so the
    /// slot's tenant of that name has left.
    fn has_elsewhere(&self, name: &TenantName, slot: Slot) -> bool {
        let mut read = self.tenants.values();
        let mut unread = self.unreadable.iter();
        read.any(|t| t.slot != slot && t.name == *name)
            || unread.any(|(s, t)| *s != slot && t.name.as_ref() == Some(name))
    }

    /// Returns the slot's unreadable tenant of which nothing else is known either. In a
    /// spec of an earlier process any slot without a tenant may have one.
    pub fn unknown(&self, slot: Slot) -> Option<&UnreadableTenant> {
        static ANY: UnreadableTenant = UnreadableTenant {
            name: None,
            owner: None,
            place: String::new(),
        };
        let unreadable = self.unreadable.get(&slot);
        let unreadable = unreadable.or_else(|| self.is_earlier.then_some(&ANY))?;
        (!self.tenants.contains_key(&slot)).then_some(unreadable)
    }

    /// Returns whether a name that no tenant here has may be that of a tenant all the same.
    pub fn has_nameless(&self) -> bool {
        self.is_earlier || self.unknown_tenants().any(|(_, t)| t.name.is_none())
    }

    /// Returns every unreadable tenant of which nothing else is known either. Those that a
    /// spec of an earlier process does not have at all are not among them.
    pub fn unknown_tenants(&self) -> impl Iterator<Item = (Slot, &UnreadableTenant)> {
        let unreadable = self.unreadable.iter();
        let unknown = unreadable.filter(|(slot, _)| !self.tenants.contains_key(slot));
        unknown.map(|(slot, t)| (*slot, t))
    }

    /// Returns the spec as JSON with its version. Holds every private key.
    ///
    /// # Errors
    /// Never for a spec that this program made; serde's signature has one.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, SpecError> {
        let written = Written {
            version: VERSION,
            spec: self,
        };
        // Counted first: a vector that grows leaves copies of keys behind.
        let mut size = ByteCount(0);
        serde_json::to_writer(&mut size, &written).map_err(|e| SpecError::damaged(&e))?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(size.0));
        serde_json::to_writer(&mut *bytes, &written).map_err(|e| SpecError::damaged(&e))?;
        Ok(bytes)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) of this version or an older one wrote. A
    /// tenant that cannot be read, because it has a policy of a newer control plane or
    /// is damaged, is in [`unreadable`](Self::unreadable).
    ///
    /// # Errors
    /// [`SpecError`] for anything else, and where a tenant's slot cannot be read.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SpecError> {
        // The version first: a newer one may differ in everything else.
        let Version { version } =
            serde_json::from_slice(bytes).map_err(|e| SpecError::damaged(&e))?;
        if version > VERSION {
            return Err(SpecError::Newer(version));
        }
        let damaged = |e: &serde_json::Error| SpecError::damaged(e);
        let read: Read<'_> = serde_json::from_slice(bytes).map_err(|e| damaged(&e))?;
        let (tenants, unreadable) = read_tenants(&read.tenants, read.unreadable)
            .map_err(|e| e.map_or(SpecError::TWICE, |e| damaged(&e)))?;
        Ok(Self {
            generation: read.generation,
            tenants,
            unreadable,
            moved: read.moved,
            is_earlier: false,
        })
    }
}

/// Counts the bytes that are written to it.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the tenants as a list: each holds its slot itself.
fn as_list<S: Serializer>(
    tenants: &BTreeMap<Slot, Arc<TenantSpec>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_seq(tenants.values().map(Arc::as_ref))
}
