//! Taking in what a port answered, and finding what of it is new.

use super::{Message, sources::Sources};
use crate::{
    drift::Before,
    observed::{
        Known, ObservedContainers, ObservedDns, ObservedFirewall, ObservedFolder, ObservedInterface,
    },
    plan::is_ours,
    ports::PortResult,
    touched::Touched,
};
use domain::Slot;
use std::collections::{BTreeMap, BTreeSet};

impl Sources {
    /// Takes an answer in. Of what it takes the place of, where there was
    /// something: what differs.
    pub(crate) fn take(&mut self, message: Message) -> Option<Before> {
        match message {
            Message::Wireguard(e, r) => self.take_wireguard(e, r).map(Before::Wireguard),
            Message::Firewall(e, r) => self.take_firewall(e, r).map(Before::Firewall),
            Message::Containers(e, r) if self.containers.end(e) => {
                self.take_containers(r).map(Before::Containers)
            }
            Message::Folders(e, r) if self.folders.end(e) => {
                self.take_folders(r).map(Before::Folders)
            }
            Message::Containers(..) | Message::Folders(..) => None,
            Message::Dns(slot, e, r) => {
                let before = self.take_dns(slot, e, r);
                before.map(|before| Before::Dns(slot, before))
            }
            Message::Spec(_) | Message::Event(_) | Message::Done(..) => None,
        }
    }

    fn take_wireguard(
        &mut self,
        epoch: u64,
        mut answer: PortResult<BTreeMap<Slot, ObservedInterface>>,
    ) -> Option<BTreeMap<Slot, ObservedInterface>> {
        let now = &mut self.observed.wireguard;
        if !self.wireguard.end_by_slot(epoch, now.known().is_some()) {
            return None;
        }
        if let (Ok(new), Some(now)) = (&mut answer, now.known()) {
            keep(&self.wireguard.touched, now, new);
        }
        if let (Err(_), Some(now)) = (&answer, now.known()) {
            let ours = now.iter().filter(|(_, i)| is_ours(i));
            self.stood = ours.map(|(slot, _)| *slot).collect();
        }
        let lost = &mut self.lost.wireguard;
        let mut before = take_in(answer, now, lost, &mut self.touched);
        if let (Some(old), Some(new)) = (&mut before, now.known()) {
            let slots = trim(old, new);
            self.touched.slots.extend(slots);
        }
        before
    }

    fn take_firewall(
        &mut self,
        epoch: u64,
        mut answer: PortResult<ObservedFirewall>,
    ) -> Option<ObservedFirewall> {
        let now = &mut self.observed.firewall;
        if !self.firewall.end_by_slot(epoch, now.known().is_some()) {
            return None;
        }
        if let (Ok(new), Some(now)) = (&mut answer, now.known()) {
            keep(&self.firewall.touched, &now.tenants, &mut new.tenants);
        }
        let lost = &mut self.lost.firewall;
        let mut before = take_in(answer, now, lost, &mut self.touched);
        if let (Some(old), Some(new)) = (&mut before, now.known()) {
            self.touched.everything |= old.complete != new.complete;
            let slots = trim(&mut old.tenants, &new.tenants);
            self.touched.slots.extend(slots);
        }
        before
    }

    fn take_containers(
        &mut self,
        answer: PortResult<ObservedContainers>,
    ) -> Option<ObservedContainers> {
        self.crew_changed = true;
        let now = &mut self.observed.containers;
        let lost = &mut self.lost.containers;
        let mut before = take_in(answer, now, lost, &mut self.touched);
        if let (Some(old), Some(new)) = (&mut before, now.known()) {
            if old == new {
                return None;
            }
            let mut touched = Touched::default();
            touched.containers(old, new);
            old.ours
                .retain(|x| x.slot.is_some_and(|slot| touched.slots.contains(&slot)));
            self.touched.add(touched);
        }
        before
    }

    fn take_folders(
        &mut self,
        answer: PortResult<BTreeMap<String, ObservedFolder>>,
    ) -> Option<BTreeMap<String, ObservedFolder>> {
        let now = &mut self.observed.folders;
        let lost = &mut self.lost.folders;
        let mut before = take_in(answer, now, lost, &mut self.touched);
        if let (Some(old), Some(new)) = (&mut before, now.known()) {
            let folders = trim(old, new);
            folders.iter().for_each(|f| self.touched.folder(f));
        }
        before
    }

    fn take_dns(
        &mut self,
        slot: Slot,
        epoch: u64,
        answer: PortResult<ObservedDns>,
    ) -> Option<ObservedDns> {
        let runs = answer.as_ref().is_ok_and(|d| d.running);
        if !self.asking.end(slot, epoch, runs) {
            return None;
        }
        let before = match self.observed.dns.insert(slot, answer.into()) {
            Some(Known::Known(before)) => Some(before),
            _ => None,
        };
        let now = self.observed.dns.get(&slot).and_then(|d| d.known());
        // One that is silent is looked at each time: for how long it has been
        // is part of its tenant's status.
        if before.as_ref() != now || !runs {
            self.touched.slots.insert(slot);
        }
        before
    }
}

/// Puts an answer in the place of what was known, which is returned if the new
/// one can be compared with it.
fn take_in<T>(
    result: PortResult<T>,
    into: &mut Known<T>,
    lost: &mut Option<T>,
    touched: &mut Touched,
) -> Option<T> {
    if let Err(e) = &result {
        tracing::warn!(code = %e.code, error = %e, cause = ?e.cause, "could not be read; nothing is changed there");
    }
    let before = std::mem::replace(into, result.into());
    // What was known before is compared; nothing else is.
    touched.everything |= before.known().is_none() || into.known().is_none();
    match (before, &*into) {
        (Known::Known(before), Known::Known(_)) => Some(before),
        (Known::Unknown(_), Known::Known(_)) => lost.take(),
        (Known::Known(before), Known::Unknown(_)) => {
            *lost = Some(before);
            None
        }
        (Known::Unknown(_), Known::Unknown(_)) => None,
    }
}

/// Leaves of the old what is not so in the new. The keys that differ.
fn trim<K: Ord + Clone, V: PartialEq>(old: &mut BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Vec<K> {
    let come = new.keys().filter(|key| !old.contains_key(key)).cloned();
    let mut keys: Vec<K> = come.collect();
    old.retain(|key, value| new.get(key) != Some(value));
    keys.extend(old.keys().cloned());
    keys
}

/// Puts what we know of some slots in place of what an older answer says.
fn keep<V: Clone>(slots: &BTreeSet<Slot>, now: &BTreeMap<Slot, V>, answer: &mut BTreeMap<Slot, V>) {
    for slot in slots {
        match now.get(slot) {
            Some(v) => drop(answer.insert(*slot, v.clone())),
            None => drop(answer.remove(slot)),
        }
    }
}
