//! Says shortly what a change of one tenant does to all others of the node: they are in force
//! at the new generation too.

use domain::Slot;
use protocol::{
    TenantState,
    wire::{NodeUpdate, Raised},
};
use std::collections::BTreeMap;

/// For fewer tenants it is not worth it.
const LEAST: usize = 8;

/// Takes those tenants out of an update that were at one generation and are at another, if
/// they are many, and sets [`NodeUpdate::raised`]. `sent` is what the reader has: tenants that
/// stay at the former generation are named. Returns what was taken out.
pub(super) fn take_raised(
    update: &mut NodeUpdate,
    sent: &BTreeMap<Slot, TenantState>,
) -> BTreeMap<Slot, TenantState> {
    let none = BTreeMap::new();
    let mut counts: BTreeMap<(u64, u64), usize> = BTreeMap::new();
    for (slot, state) in &update.tenants {
        if let Some(generations) = generations(sent.get(slot), state.as_ref()) {
            *counts.entry(generations).or_default() += 1;
        }
    }
    let Some(((from, to), count)) = counts.into_iter().max_by_key(|(_, count)| *count) else {
        return none;
    };
    let all = sent.iter().filter(|(_, state)| state.applied == from);
    let staying = all.filter(|(slot, _)| !update.tenants.contains_key(slot));
    let staying: Vec<_> = staying
        .map(|(slot, state)| (*slot, Some(state.clone())))
        .collect();
    if count < LEAST + staying.len() {
        return none;
    }
    let is_raised = |slot: &Slot, state: &mut Option<TenantState>| {
        generations(sent.get(slot), state.as_ref()) == Some((from, to))
    };
    let taken = update.tenants.extract_if(.., is_raised);
    let taken = taken
        .filter_map(|(slot, state)| Some((slot, state?)))
        .collect();
    update.tenants.extend(staying);
    update.raised = Some(Raised { from, to });
    taken
}

/// Returns the former and the new generation of a tenant of which nothing else has changed.
fn generations(was: Option<&TenantState>, is: Option<&TenantState>) -> Option<(u64, u64)> {
    let (was, is) = (was?, is?);
    let is_raised = was.applied != is.applied && was.name == is.name && was.status == is.status;
    is_raised.then_some((was.applied, is.applied))
}
