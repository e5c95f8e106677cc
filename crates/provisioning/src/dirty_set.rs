//! What has changed in an observation since the plan was last updated.

use crate::{
    observed::{ObservedContainer, ObservedContainers},
    spec::is_docker_name,
};
use domain::{Slot, TenantName};
use std::collections::{BTreeMap, BTreeSet};

/// The parts of an observation that may have changed. Listing more than has really
/// changed is harmless but costs time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirtySet {
    /// Whether everything may have changed.
    pub everything: bool,
    /// Slots of which something has changed.
    pub slots: BTreeSet<Slot>,
    /// Tenants' names of which a folder or a container has changed.
    pub names: BTreeSet<String>,
    /// Whether the engine's list of containers has changed.
    pub containers: bool,
}

impl DirtySet {
    /// Adds another set.
    pub fn merge(&mut self, other: Self) {
        self.everything |= other.everything;
        self.slots.extend(other.slots);
        self.names.extend(other.names);
        self.containers |= other.containers;
    }

    /// Adds a folder below `users/` that was added, removed or changed.
    pub fn add_folder(&mut self, folder: &str) {
        let name = folder.strip_prefix(TenantName::FOLDER_PREFIX);
        self.names.extend(name.map(str::to_owned));
    }

    /// Adds a container that was added, removed or changed.
    pub fn add_container(&mut self, c: &ObservedContainer) {
        self.containers = true;
        self.slots.extend(c.slot);
        self.add_container_name(&c.name);
    }

    fn add_container_name(&mut self, name: &str) {
        let name = name.strip_prefix(TenantName::CONTAINER_PREFIX);
        self.names.extend(name.map(str::to_owned));
    }

    /// Adds the differences between two lists of containers.
    pub fn add_container_changes(&mut self, old: &ObservedContainers, new: &ObservedContainers) {
        if old == new {
            return;
        }
        self.containers = true;
        self.everything |= old.image != new.image;
        // By slot, because the order matters only within a slot.
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
            containers.for_each(|x| self.add_container(x));
        }
        for name in old.foreign.symmetric_difference(&new.foreign) {
            // The engine's name of a container does not tell the tenant.
            self.everything |= is_docker_name(name);
            self.add_container_name(name);
        }
    }
}
