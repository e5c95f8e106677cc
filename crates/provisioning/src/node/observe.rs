//! Applies readings of the ports to the observation, and finds what they changed.

use super::{message::Message, observer::Observer};
use crate::{
    dirty_set::DirtySet,
    drift::Before,
    observed::{
        Observation, ObservedContainers, ObservedDns, ObservedFirewall, ObservedFolder,
        ObservedInterface, ObservedSpeed,
    },
    plan::is_ours,
    ports::PortResult,
};
use domain::Slot;
use std::collections::{BTreeMap, BTreeSet};

impl Observer {
    /// Applies a reading. Returns the part of the previous observation that the
    /// reading changed, where there was one to compare with.
    pub(super) fn apply(&mut self, message: Message) -> Option<Before> {
        match message {
            Message::Wireguard(e, r) => self.apply_wireguard(e, r).map(Before::Wireguard),
            Message::Firewall(e, r) => self.apply_firewall(e, r).map(Before::Firewall),
            Message::Shaping(e, r) => {
                self.apply_shaping(e, r);
                None
            }
            Message::Containers(e, r) if self.containers.end(e) => {
                self.apply_containers(r).map(Before::Containers)
            }
            Message::Folders(e, r) if self.folders.end(e) => {
                self.apply_folders(r).map(Before::Folders)
            }
            Message::Containers(..) | Message::Folders(..) => None,
            Message::Dns(slot, e, r) => {
                let before = self.apply_dns(slot, e, r);
                before.map(|before| Before::Dns(slot, before))
            }
            Message::Spec(_) | Message::Event(_) | Message::Done(..) => None,
        }
    }

    fn apply_wireguard(
        &mut self,
        epoch: u64,
        mut reading: PortResult<BTreeMap<Slot, ObservedInterface>>,
    ) -> Option<BTreeMap<Slot, ObservedInterface>> {
        let now = &mut self.observed.wireguard;
        if !self.wireguard.end_by_slot(epoch, now.value().is_some()) {
            return None;
        }
        if let (Ok(new), Some(now)) = (&mut reading, now.value()) {
            keep_slots(&self.wireguard.changed_slots, now, new);
        }
        if let (Err(_), Some(now)) = (&reading, now.value()) {
            let ours = now.iter().filter(|(_, i)| is_ours(i));
            self.last_interfaces = ours.map(|(slot, _)| *slot).collect();
        }
        let last_known = &mut self.last_known.wireguard;
        let mut before = replace(reading, now, last_known, &mut self.dirty);
        if let (Some(old), Some(new)) = (&mut before, now.value()) {
            let slots = retain_changed(old, new);
            self.dirty.slots.extend(slots);
        }
        before
    }

    fn apply_firewall(
        &mut self,
        epoch: u64,
        mut reading: PortResult<ObservedFirewall>,
    ) -> Option<ObservedFirewall> {
        let now = &mut self.observed.firewall;
        if !self.firewall.end_by_slot(epoch, now.value().is_some()) {
            return None;
        }
        if let (Ok(new), Some(now)) = (&mut reading, now.value()) {
            let changed_slots = &self.firewall.changed_slots;
            keep_slots(changed_slots, &now.tenants, &mut new.tenants);
        }
        let last_known = &mut self.last_known.firewall;
        let mut before = replace(reading, now, last_known, &mut self.dirty);
        if let (Some(old), Some(new)) = (&mut before, now.value()) {
            self.dirty.everything |= old.complete != new.complete;
            let slots = retain_changed(&mut old.tenants, &new.tenants);
            self.dirty.slots.extend(slots);
        }
        before
    }

    fn apply_shaping(
        &mut self,
        epoch: u64,
        mut reading: PortResult<BTreeMap<Slot, ObservedSpeed>>,
    ) {
        let now = &mut self.observed.shaping;
        if !self.shaping.end_by_slot(epoch, now.value().is_some()) {
            return;
        }
        if let (Ok(new), Some(now)) = (&mut reading, now.value()) {
            keep_slots(&self.shaping.changed_slots, now, new);
        }
        let mut before = replace(reading, now, &mut None, &mut self.dirty);
        if let (Some(old), Some(new)) = (&mut before, now.value()) {
            let slots = retain_changed(old, new);
            self.dirty.slots.extend(slots);
        }
    }

    fn apply_containers(
        &mut self,
        reading: PortResult<ObservedContainers>,
    ) -> Option<ObservedContainers> {
        self.running_changed = true;
        let now = &mut self.observed.containers;
        let last_known = &mut self.last_known.containers;
        let mut before = replace(reading, now, last_known, &mut self.dirty);
        if let (Some(old), Some(new)) = (&mut before, now.value()) {
            if old == new {
                return None;
            }
            let mut dirty = DirtySet::default();
            dirty.add_container_changes(old, new);
            old.ours
                .retain(|x| x.slot.is_some_and(|slot| dirty.slots.contains(&slot)));
            self.dirty.merge(dirty);
        }
        before
    }

    fn apply_folders(
        &mut self,
        reading: PortResult<BTreeMap<String, ObservedFolder>>,
    ) -> Option<BTreeMap<String, ObservedFolder>> {
        let now = &mut self.observed.folders;
        let last_known = &mut self.last_known.folders;
        let mut before = replace(reading, now, last_known, &mut self.dirty);
        if let (Some(old), Some(new)) = (&mut before, now.value()) {
            let folders = retain_changed(old, new);
            folders.iter().for_each(|f| self.dirty.add_folder(f));
        }
        before
    }

    fn apply_dns(
        &mut self,
        slot: Slot,
        epoch: u64,
        reading: PortResult<ObservedDns>,
    ) -> Option<ObservedDns> {
        let runs = reading.as_ref().is_ok_and(|d| d.running);
        if !self.dns_poller.end(slot, epoch, runs) {
            return None;
        }
        let before = match self.observed.dns.insert(slot, reading.into()) {
            Some(Observation::Read(before)) => Some(before),
            _ => None,
        };
        let now = self.observed.dns.get(&slot).and_then(|d| d.value());
        // A silent instance is marked each time: for how long it has been silent is
        // part of its tenant's status.
        if before.as_ref() != now || !runs {
            self.dirty.slots.insert(slot);
        }
        before
    }
}

/// Replaces the observation of a port by a new reading. Returns what the new one is
/// to be compared with: the previous observation, or, where that was unreadable, the
/// last readable one.
fn replace<T>(
    reading: PortResult<T>,
    observation: &mut Observation<T>,
    last_known: &mut Option<T>,
    dirty: &mut DirtySet,
) -> Option<T> {
    if let Err(e) = &reading {
        tracing::warn!(code = %e.code, error = %e, cause = ?e.cause, "could not be read; nothing is changed there");
    }
    let before = std::mem::replace(observation, reading.into());
    // Two readable observations are compared by the caller. In all other cases
    // everything may have changed.
    dirty.everything |= before.value().is_none() || observation.value().is_none();
    match (before, &*observation) {
        (Observation::Read(before), Observation::Read(_)) => Some(before),
        (Observation::Unreadable(_), Observation::Read(_)) => last_known.take(),
        (Observation::Read(before), Observation::Unreadable(_)) => {
            *last_known = Some(before);
            None
        }
        (Observation::Unreadable(_), Observation::Unreadable(_)) => None,
    }
}

/// Removes from `old` the entries that are unchanged in `new`. Returns the keys of
/// all entries that differ.
fn retain_changed<K: Ord + Clone, V: PartialEq>(
    old: &mut BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
) -> Vec<K> {
    let added = new.keys().filter(|key| !old.contains_key(key)).cloned();
    let mut keys: Vec<K> = added.collect();
    old.retain(|key, value| new.get(key) != Some(value));
    keys.extend(old.keys().cloned());
    keys
}

/// Replaces the entries of some slots in a reading by what is known of them now,
/// which is newer.
fn keep_slots<V: Clone>(
    slots: &BTreeSet<Slot>,
    now: &BTreeMap<Slot, V>,
    reading: &mut BTreeMap<Slot, V>,
) {
    for slot in slots {
        match now.get(slot) {
            Some(v) => drop(reading.insert(*slot, v.clone())),
            None => drop(reading.remove(slot)),
        }
    }
}
