//! Rows of the database that cannot be read for a while.

use domain::{PublicKey, Slot};
use protocol::UnreadableTenant;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A tenant whose row cannot be read.
#[derive(Clone, Debug)]
pub(super) struct LostRow {
    pub(super) owner: PublicKey,
    /// The machine's time from which it can be read again.
    pub(super) until: Duration,
    /// What is known of it meanwhile.
    pub(super) shown: UnreadableTenant,
}

/// The tenants whose rows cannot be read, by slot.
#[derive(Clone, Debug, Default)]
pub(super) struct LostRows {
    pub(super) rows: BTreeMap<Slot, LostRow>,
    /// Keys of tenants that were suspended at some time: their tunnels may be on their
    /// way out.
    pub(super) once_suspended: BTreeSet<PublicKey>,
}

impl LostRows {
    /// Returns the slots.
    pub(super) fn slots(&self) -> BTreeSet<Slot> {
        self.rows.keys().copied().collect()
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        self.rows.contains_key(&slot)
    }

    /// Returns whether the name of one of them cannot be read either.
    pub(super) fn has_nameless(&self) -> bool {
        self.rows.values().any(|row| row.shown.name.is_none())
    }
}
