//! What there is of ours for one slot, as it was read.

use crate::{
    links::Link,
    listing::{Bucket, Filter, Place, Qdisc},
    rate::Rate,
};
use protocol::SpeedLimits;
use provisioning::observed::ObservedSpeed;

/// The preference of the filter that redirects to the ifb: "M@", as in the handles.
pub const PREFERENCE: u32 = 0x4d40;
/// The first of our 16 handles, "M@". Bits 0 to 2 are [`Rate::remainder`]; bit 3 tells a
/// new token bucket from the one that it replaces.
const FIRST_HANDLE: u16 = 0x4d40;
/// The bit of the handle that alternates.
const ALTERNATE: u16 = 8;
/// The handle of the queueing discipline below the token bucket.
pub(crate) const LEAF_HANDLE: u16 = 0x4d50;

/// Returns whether a handle's major number is one of ours, 4d40 to 4d4f.
pub const fn is_our_handle(major: u16) -> bool {
    major & 0xfff0 == FIRST_HANDLE
}

/// What an interface has at its root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// The handle of whatever is there; 0 for what the kernel made.
    handle: u16,
    /// The token bucket, if it is ours.
    bucket: Option<Bucket>,
    /// Whether our fq_codel is below it.
    leaf: bool,
}

impl Root {
    fn of(qdiscs: &[Qdisc]) -> Self {
        let Some(root) = qdiscs.iter().find(|q| q.place == Place::Root) else {
            return Self::default();
        };
        let is_leaf = |q: &Qdisc| {
            q.kind == "fq_codel" && q.handle == LEAF_HANDLE && q.place == Place::Below(root.handle)
        };
        Self {
            handle: root.handle,
            bucket: root.bucket.filter(|_| is_our_handle(root.handle)),
            leaf: qdiscs.iter().any(is_leaf),
        }
    }

    /// Returns the handle of our token bucket, if there is one.
    pub(crate) fn our_handle(&self) -> Option<u16> {
        self.bucket.map(|_| self.handle)
    }

    /// Returns the rate of our token bucket in bits per second.
    fn bps(&self) -> Option<u64> {
        let bucket = self.bucket?;
        let remainder = u64::from(self.handle & 7);
        Some(bucket.rate.saturating_mul(8).saturating_add(remainder))
    }

    /// Returns whether our token bucket has the sizes of its rate, and a leaf if the
    /// kernel has leaves.
    fn is_intact(&self, leaf: bool) -> bool {
        let rate = self.bps().and_then(|bps| Rate::from_bps(bps).ok());
        let (Some(rate), Some(bucket)) = (rate, self.bucket) else {
            return false;
        };
        // The kernel counts time in units of 64 ns, and tc prints microseconds.
        let near = |a: u64, b: u64| a.abs_diff(b) <= b / 50 + 2;
        let queue = u128::from(bucket.latency) * u128::from(bucket.rate) / 1_000_000;
        let queue = u64::try_from(queue)
            .unwrap_or(u64::MAX)
            .saturating_add(bucket.burst);
        near(bucket.burst, rate.burst()) && near(queue, rate.queue()) && (self.leaf || !leaf)
    }

    /// Returns whether nothing has to be done for this rate.
    pub(crate) fn has(&self, rate: Rate, leaf: bool) -> bool {
        self.is_intact(leaf) && self.bps() == Some(rate.bytes() * 8 + u64::from(rate.remainder()))
    }

    /// Returns the handle for a token bucket of this rate: the present one, which is
    /// then changed in place, unless its burst is higher (see the crate's traps) or
    /// something else has the handle.
    pub(crate) fn handle_for(&self, rate: Rate) -> u16 {
        let alternate = self.handle & ALTERNATE;
        let handle = FIRST_HANDLE | rate.remainder() | alternate;
        let changeable = match self.bucket {
            Some(bucket) => bucket.burst <= rate.burst(),
            None => self.handle != handle,
        };
        if changeable {
            handle
        } else {
            handle ^ ALTERNATE
        }
    }
}

/// The filters of ours on what arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirect {
    /// There is none.
    #[default]
    Absent,
    /// Something has our preference and is not our redirect.
    Damaged,
    /// Everything is redirected to the slot's ifb.
    Whole,
}

/// What takes what arrives on an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ingress {
    /// Nothing.
    #[default]
    Absent,
    /// The queueing discipline `ingress`, with filters of others or without.
    Plain {
        /// Whether it has filters that are not ours.
        shared: bool,
    },
    /// Another one that takes the same filters: `clsact`, which we never make.
    Foreign,
}

/// What there is of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotState {
    /// Whether the interface exists.
    pub interface: bool,
    /// Whether the ifb exists, and is up.
    pub ifb: Option<bool>,
    /// Whether a link that is no ifb has the ifb's name.
    pub name_foreign: bool,
    /// The root of the interface.
    pub down: Root,
    /// The root of the ifb.
    pub up: Root,
    /// What takes what arrives on the interface.
    pub ingress: Ingress,
    /// Our filter there.
    pub redirect: Redirect,
}

impl SlotState {
    /// Combines what was read of the interface and of the ifb. `filters` are those of
    /// the interface's ingress.
    pub fn new(
        (interface, ifb): (Option<&Link>, Option<&Link>),
        (qdiscs, ifb_qdiscs): (&[Qdisc], &[Qdisc]),
        filters: &[Filter],
    ) -> Self {
        let ours = |f: &&Filter| f.preference == PREFERENCE;
        let redirects: Vec<&Filter> = filters.iter().filter(ours).filter(|f| f.matches).collect();
        let redirect = match redirects[..] {
            _ if !filters.iter().any(|f| ours(&f)) => Redirect::Absent,
            [f] if ifb.is_some_and(|l| f.redirect.as_ref() == Some(&l.name)) => Redirect::Whole,
            _ => Redirect::Damaged,
        };
        let shared = filters.iter().any(|f| !ours(&f));
        let ingress = match qdiscs.iter().find(|q| q.place == Place::Ingress) {
            None => Ingress::Absent,
            Some(q) if q.kind == "ingress" => Ingress::Plain { shared },
            Some(_) => Ingress::Foreign,
        };
        let is_ifb = ifb.is_some_and(|l| l.ifb);
        Self {
            down: Root::of(qdiscs),
            up: if is_ifb {
                Root::of(ifb_qdiscs)
            } else {
                Root::default()
            },
            ingress,
            redirect,
            ..Self::default()
        }
        .with_links(interface, ifb)
    }

    /// Returns the state with the links as they are now.
    pub(crate) fn with_links(mut self, interface: Option<&Link>, ifb: Option<&Link>) -> Self {
        let is_ifb = ifb.is_some_and(|l| l.ifb);
        self.interface = interface.is_some();
        self.ifb = ifb.filter(|_| is_ifb).map(|l| l.up);
        self.name_foreign = ifb.is_some() && !is_ifb;
        self
    }

    /// Returns what the port reports; `None` where there is nothing of ours. `leaf` is
    /// whether the kernel has fq_codel.
    pub fn observed(&self, leaf: bool) -> Option<ObservedSpeed> {
        let limits = SpeedLimits {
            down_bps: self.down.bps(),
            up_bps: self.up.bps(),
        };
        let upward = self.ifb.is_some() || self.redirect != Redirect::Absent;
        if limits.is_unlimited() && !upward {
            return None;
        }
        let down_intact = limits.down_bps.is_none() || self.down.is_intact(leaf);
        let up_intact = !upward
            || (self.ifb == Some(true)
                && self.redirect == Redirect::Whole
                && self.up.is_intact(leaf));
        Some(ObservedSpeed {
            limits,
            intact: self.interface && down_intact && up_intact,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(handle: u16, rate: Rate) -> Root {
        let latency = (rate.queue() - rate.burst()) * 1_000_000 / rate.bytes();
        Root {
            handle,
            bucket: Some(Bucket {
                rate: rate.bytes(),
                burst: rate.burst(),
                latency,
            }),
            leaf: false,
        }
    }

    #[test]
    fn the_rate_is_read_to_the_bit() {
        for bps in [64_000, 1_000_001, 1_000_007, 10_000_000_000_000] {
            let rate = Rate::from_bps(bps).unwrap();
            let set = root(Root::default().handle_for(rate), rate);
            assert_eq!(set.bps(), Some(bps));
            assert!(set.has(rate, false) && !set.has(rate, true));
            assert!(is_our_handle(set.handle));
        }
    }

    #[test]
    fn only_a_lower_burst_replaces_a_bucket() {
        let [low, high] = [5_000_000, 500_000_000].map(|bps| Rate::from_bps(bps).unwrap());
        let first = root(FIRST_HANDLE, low);
        assert_eq!(first.handle_for(high), FIRST_HANDLE);
        let second = root(FIRST_HANDLE, high);
        assert_eq!(second.handle_for(low), FIRST_HANDLE | ALTERNATE);
        let third = root(FIRST_HANDLE | ALTERNATE, high);
        assert_eq!(third.handle_for(low), FIRST_HANDLE);
        // Another program's with our handle cannot be changed into ours.
        let foreign = Root {
            handle: FIRST_HANDLE,
            ..Root::default()
        };
        assert_eq!(foreign.handle_for(low), FIRST_HANDLE | ALTERNATE);
    }

    #[test]
    fn changed_sizes_are_damage() {
        let rate = Rate::from_bps(50_000_000).unwrap();
        let whole = root(FIRST_HANDLE, rate);
        let state = SlotState {
            interface: true,
            down: whole,
            ..SlotState::default()
        };
        assert!(state.observed(false).unwrap().intact);
        for change in [
            |b: &mut Bucket| b.burst /= 2,
            |b: &mut Bucket| b.latency *= 10,
            |b: &mut Bucket| b.rate = 0,
        ] {
            let mut damaged = state;
            change(damaged.down.bucket.as_mut().unwrap());
            assert!(!damaged.observed(false).unwrap().intact);
        }
    }

    #[test]
    fn a_part_of_the_upward_limit_is_damage() {
        let rate = Rate::from_bps(50_000_000).unwrap();
        let whole = SlotState {
            interface: true,
            ifb: Some(true),
            up: root(FIRST_HANDLE, rate),
            ingress: Ingress::Plain { shared: false },
            redirect: Redirect::Whole,
            ..SlotState::default()
        };
        let observed = whole.observed(false).unwrap();
        assert!(observed.intact);
        assert_eq!(observed.limits.up_bps, Some(50_000_000));
        for change in [
            |s: &mut SlotState| s.interface = false,
            |s: &mut SlotState| s.ifb = Some(false),
            |s: &mut SlotState| s.up = Root::default(),
            |s: &mut SlotState| s.redirect = Redirect::Absent,
            |s: &mut SlotState| s.redirect = Redirect::Damaged,
        ] {
            let mut damaged = whole;
            change(&mut damaged);
            assert!(!damaged.observed(false).unwrap().intact, "{damaged:?}");
        }
        assert_eq!(SlotState::default().observed(false), None);
    }
}
