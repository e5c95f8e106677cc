//! What of an observation has changed since the plan was made last.

use crate::observed::{ObservedContainer, ObservedContainers};
use domain::{Slot, TenantName};
use std::collections::{BTreeMap, BTreeSet};

/// See the module. More than has really changed does no harm but costs time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// All of it may have.
    pub everything: bool,
    /// Slots of which something has.
    pub slots: BTreeSet<Slot>,
    /// Tenants' names of which a folder or a container has.
    pub names: BTreeSet<String>,
    /// The engine's list of containers has.
    pub containers: bool,
}

impl Touched {
    /// And what another has.
    pub fn add(&mut self, other: Self) {
        self.everything |= other.everything;
        self.slots.extend(other.slots);
        self.names.extend(other.names);
        self.containers |= other.containers;
    }

    /// A folder below `users/` has come, gone or changed.
    pub fn folder(&mut self, folder: &str) {
        let name = folder.strip_prefix(TenantName::FOLDER_PREFIX);
        self.names.extend(name.map(str::to_owned));
    }

    /// A container has come, gone or changed.
    pub fn container(&mut self, c: &ObservedContainer) {
        self.containers = true;
        self.slots.extend(c.slot);
        self.container_name(&c.name);
    }

    fn container_name(&mut self, name: &str) {
        let name = name.strip_prefix(TenantName::CONTAINER_PREFIX);
        self.names.extend(name.map(str::to_owned));
    }

    /// Two lists of containers were read one after the other.
    pub fn containers(&mut self, old: &ObservedContainers, new: &ObservedContainers) {
        if old == new {
            return;
        }
        self.containers = true;
        self.everything |= old.image != new.image;
        // By slot, because their order in a slot matters and no other does.
        let by_slot = |c: &ObservedContainers| {
            let mut slots: BTreeMap<Option<Slot>, Vec<ObservedContainer>> = BTreeMap::new();
            for x in &c.ours {
                slots.entry(x.slot).or_default().push(x.clone());
            }
            slots
        };
        let (was, is) = (by_slot(old), by_slot(new));
        for (a, b) in [(&was, &is), (&is, &was)] {
            let differing = a.iter().filter(|(slot, list)| b.get(slot) != Some(list));
            let containers = differing.flat_map(|(_, list)| list);
            containers.for_each(|x| self.container(x));
        }
        for name in old.foreign.symmetric_difference(&new.foreign) {
            self.container_name(name);
        }
    }
}
