//! Plans the speed limits of a slot's interface.

use super::{
    step::Step,
    view::{View, is_ours},
};
use crate::observed::Observation;
use domain::Slot;
use protocol::SpeedLimits;

/// Plans the slot's speed limits. They are set once the interface exists and is the
/// tenant's; a slot without such an interface has none.
pub(super) fn plan(v: &View, slot: Slot) -> Vec<Step> {
    let (Observation::Read(interfaces), Observation::Read(speeds)) =
        (&v.observed.wireguard, &v.observed.shaping)
    else {
        return vec![];
    };
    if v.spec.unknown(slot).is_some() {
        return vec![];
    }
    let own = interfaces.get(&slot).is_some_and(is_ours) && !v.has_earlier_tenants_interface(slot);
    let tenant = v.active(slot).filter(|_| own);
    let wanted = tenant.map_or(SpeedLimits::default(), |t| t.limits.speed);
    // What is left of earlier limits is removed as well.
    let in_force = match speeds.get(&slot) {
        Some(p) => p.intact && p.limits == wanted && !wanted.is_unlimited(),
        None => wanted.is_unlimited(),
    };
    match in_force {
        true => vec![],
        false => vec![Step::LimitSpeed(slot, wanted)],
    }
}
