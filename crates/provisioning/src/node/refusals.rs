//! AdGuard Homes that refuse our password: the container was started from another
//! configuration than the tenant's, or its user was changed in the file. The container
//! is replaced, and preparing the next one corrects the user. A container that refuses
//! again, or whose tenant changes the file on purpose, is replaced ever less often.

use crate::observed::{ContainerState, Observation, Observed, ObservedContainers};
use domain::{Message, PublicKey, Slot};
use protocol::NodeSpec;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// How many readings in a row are refused before the container is replaced.
const MAX_REFUSED: u32 = 2;
/// The first and the longest time between two replacements of a tenant's container. It
/// is doubled from one to the other.
const INTERVALS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

#[derive(Debug)]
struct Refusal {
    /// The tunnel's key of the tenant whose instance it is.
    owner: PublicKey,
    /// Refused readings in a row.
    refused: u32,
    /// The container that is to be replaced.
    container: Option<String>,
    replacements: u32,
    replaced_at: Option<Instant>,
}

impl Refusal {
    fn may_be_replaced(&self) -> bool {
        let (first, longest) = INTERVALS;
        let doublings = self.replacements.saturating_sub(1).min(10);
        let interval = first.saturating_mul(1 << doublings).min(longest);
        self.replaced_at.is_none_or(|at| at.elapsed() >= interval)
    }
}

/// The instances that have refused our password since this process began, by slot.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<Slot, Refusal>);

impl Refusals {
    /// Returns the containers that are to be replaced, by id.
    pub fn containers(&self) -> BTreeMap<Slot, String> {
        let replaced = self.0.iter();
        let replaced = replaced.filter_map(|(slot, r)| Some((*slot, r.container.clone()?)));
        replaced.collect()
    }

    /// Records that the slot's container was started from a corrected configuration.
    pub fn started(&mut self, slot: Slot) {
        if let Some(refusal) = self.0.get_mut(&slot) {
            (refusal.container, refusal.refused) = (None, 0);
        }
    }

    /// Follows a new reading of the containers. `is_owner` returns whether the slot's
    /// tenant has this key.
    pub fn containers_read(
        &mut self,
        is_owner: impl Fn(&Slot, PublicKey) -> bool,
        containers: &ObservedContainers,
    ) {
        self.0.retain(|slot, refusal| is_owner(slot, refusal.owner));
        for refusal in self.0.values_mut() {
            let exists = |id: &String| containers.ours.iter().any(|c| c.id == *id);
            refusal.container.take_if(|id| !exists(id));
        }
    }

    /// Follows a new reading of one AdGuard Home. Returns whether its container is to be
    /// replaced from now on.
    pub fn dns_read(&mut self, slot: Slot, spec: &NodeSpec, observed: &Observed) -> bool {
        let error = observed.dns.get(&slot).and_then(Observation::error);
        let is_refused =
            error.is_some_and(|e| matches!(e.message, Message::AdguardPasswordRefused { .. }));
        if !is_refused {
            // One that is silent for a moment has not taken our password.
            if error.is_none() {
                self.started(slot);
            }
            return false;
        }
        let containers = observed.containers.value().into_iter();
        let mut running = containers
            .flat_map(|c| &c.ours)
            .filter(|c| c.slot == Some(slot) && c.state == ContainerState::Running);
        let (Some(tenant), Some(container)) = (spec.tenants.get(&slot), running.next()) else {
            return false;
        };
        let owner = tenant.private_key.public();
        let new = || Refusal {
            owner,
            refused: 0,
            container: None,
            replacements: 0,
            replaced_at: None,
        };
        let refusal = self.0.entry(slot).or_insert_with(new);
        if refusal.owner != owner {
            *refusal = new();
        }
        refusal.refused = refusal.refused.saturating_add(1);
        let is_due = refusal.refused >= MAX_REFUSED && refusal.may_be_replaced();
        if !is_due || refusal.container.is_some() {
            return false;
        }
        refusal.container = Some(container.id.clone());
        refusal.replacements = refusal.replacements.saturating_add(1);
        refusal.replaced_at = Some(Instant::now());
        true
    }
}

#[cfg(test)]
mod tests;
