//! Plans what changes a slot's state into the wanted limits. It is pure.

use crate::{
    links::ifb_name,
    rate::Rate,
    state::{Ingress, LEAF_HANDLE, PREFERENCE, Redirect, Root, SlotState},
};
use domain::Slot;
use std::fmt::Write as _;

/// The wanted rates of a slot; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub down: Option<Rate>,
    pub up: Option<Rate>,
}

/// A change of a slot, in the order of its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Create the ifb, up.
    pub add_ifb: bool,
    /// Set the present ifb up.
    pub raise_ifb: bool,
    /// Commands of `tc -batch`, a line each.
    pub commands: String,
    /// Commands that add fq_codel, for a kernel that has it.
    pub leaves: String,
    /// Remove the ifb.
    pub remove_ifb: bool,
}

/// Plans the change of a slot. `leaf` is whether fq_codel is to be below the token
/// buckets.
pub(crate) fn plan(slot: Slot, state: &SlotState, wanted: Wanted, leaf: bool) -> Change {
    let (interface, ifb) = (slot.interface(), ifb_name(slot));
    let mut change = Change::default();
    match wanted.down {
        Some(rate) => change.set_root(&interface, &state.down, rate, leaf),
        None => change.remove_root(&interface, &state.down),
    }
    match wanted.up {
        Some(rate) => {
            change.add_ifb = state.ifb.is_none();
            change.raise_ifb = state.ifb == Some(false);
            change.set_root(&ifb, &state.up, rate, leaf);
            change.redirect(&interface, state, &ifb);
        }
        None => {
            change.remove_redirect(&interface, state);
            change.remove_ifb = state.ifb.is_some();
        }
    }
    change
}

impl Change {
    fn command(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.commands, "{text}");
    }

    fn set_root(&mut self, device: &str, root: &Root, rate: Rate, leaf: bool) {
        if root.has(rate, leaf) {
            return;
        }
        let handle = root.handle_for(rate);
        // `bps` is tc's unit for bytes per second (tc(8)).
        self.command(format_args!(
            "qdisc replace dev {device} root handle {handle:x}: tbf rate {}bps burst {} limit {}",
            rate.bytes(),
            rate.burst(),
            rate.queue(),
        ));
        if leaf {
            let _ = writeln!(
                self.leaves,
                "qdisc replace dev {device} parent {handle:x}:1 handle {LEAF_HANDLE:x}: fq_codel limit {} target {}us",
                rate.codel_limit(),
                rate.codel_target(),
            );
        }
    }

    fn remove_root(&mut self, device: &str, root: &Root) {
        if let Some(handle) = root.our_handle() {
            self.command(format_args!(
                "qdisc del dev {device} root handle {handle:x}:"
            ));
        }
    }

    fn redirect(&mut self, interface: &str, state: &SlotState, ifb: &str) {
        if state.ingress == Ingress::Absent {
            self.command(format_args!("qdisc add dev {interface} ingress"));
        }
        if state.redirect == Redirect::Damaged {
            self.remove_filter(interface);
        }
        if state.redirect != Redirect::Whole {
            // "Everything" as a filter of u32, which every kernel with tc has.
            self.command(format_args!(
                "filter add dev {interface} ingress protocol all pref {PREFERENCE} u32 match u32 0 0 action mirred egress redirect dev {ifb}"
            ));
        }
    }

    fn remove_redirect(&mut self, interface: &str, state: &SlotState) {
        if state.redirect == Redirect::Absent {
            return;
        }
        match state.ingress {
            Ingress::Plain { shared: false } => {
                self.command(format_args!("qdisc del dev {interface} ingress"));
            }
            _ => self.remove_filter(interface),
        }
    }

    fn remove_filter(&mut self, interface: &str) {
        self.command(format_args!(
            "filter del dev {interface} ingress pref {PREFERENCE}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(down: u64, up: u64) -> Wanted {
        Wanted {
            down: Some(Rate::from_bps(down).unwrap()),
            up: Some(Rate::from_bps(up).unwrap()),
        }
    }

    fn bare() -> SlotState {
        SlotState {
            interface: true,
            ..SlotState::default()
        }
    }

    #[test]
    fn the_ifb_has_its_limit_before_packets_are_redirected() {
        let change = plan(Slot::FIRST, &bare(), limited(50_000_000, 5_000_000), false);
        assert!(change.add_ifb && !change.raise_ifb && !change.remove_ifb);
        let lines: Vec<_> = change.commands.lines().collect();
        assert_eq!(
            lines,
            [
                "qdisc replace dev wg1 root handle 4d40: tbf rate 6250000bps burst 62500 limit 312500",
                "qdisc replace dev mnup1 root handle 4d40: tbf rate 625000bps burst 6250 limit 31250",
                "qdisc add dev wg1 ingress",
                "filter add dev wg1 ingress protocol all pref 19776 u32 match u32 0 0 action mirred egress redirect dev mnup1",
            ]
        );
        assert!(change.leaves.is_empty());
        let change = plan(Slot::FIRST, &bare(), limited(50_000_000, 64_000), true);
        assert_eq!(
            change.leaves.lines().collect::<Vec<_>>(),
            [
                "qdisc replace dev wg1 parent 4d40:1 handle 4d50: fq_codel limit 2441 target 5000us",
                "qdisc replace dev mnup1 parent 4d40:1 handle 4d50: fq_codel limit 128 target 283875us",
            ]
        );
    }

    #[test]
    fn nothing_to_do_is_no_command() {
        let change = plan(Slot::FIRST, &bare(), Wanted::default(), true);
        assert_eq!(change, Change::default());
    }

    #[test]
    fn filters_of_others_stay() {
        let mut state = SlotState {
            ifb: Some(true),
            ingress: Ingress::Plain { shared: true },
            redirect: Redirect::Whole,
            ..bare()
        };
        let remove = |state: &SlotState| plan(Slot::FIRST, state, Wanted::default(), false);
        let filter = "filter del dev wg1 ingress pref 19776\n";
        assert_eq!(remove(&state).commands, filter);
        assert!(remove(&state).remove_ifb);
        state.ingress = Ingress::Foreign;
        assert_eq!(remove(&state).commands, filter);
        state.ingress = Ingress::Plain { shared: false };
        assert_eq!(remove(&state).commands, "qdisc del dev wg1 ingress\n");
    }
}
