//! Draws what happens to the link: for how long it is cut, and how long a message takes.

use super::link_state::Direction;
use crate::sim::{SimState, faults::Fault};
use std::time::Duration;

/// The most that a slow message takes, in milliseconds. It is more than the real link waits
/// for a sign of the other side.
const SLOW_MS: u64 = 20_000;

/// The longest partition, in milliseconds.
const PARTITION_MS: u64 = 90_000;

impl SimState {
    /// Returns whether the node gets its spec by a link.
    pub fn is_worker(&self) -> bool {
        self.link.is_worker
    }

    /// Returns whether what arrives by the link is what the node gets.
    pub fn has_link(&self) -> bool {
        self.link.is_used
    }

    /// Returns the highest generation that the node may have in force.
    pub fn highest_in_force(&self, in_force: u64) -> u64 {
        let stored = self.model.stored.generation();
        in_force.max(stored).max(self.link.highest())
    }

    pub(super) fn link_strikes(&mut self, fault: Fault) -> bool {
        self.faults.strikes(fault, &mut self.link.rng)
    }

    /// Draws whether the link is cut from now on, in one direction or both.
    pub(super) fn draw_partition(&mut self) {
        if self.is_cut() || !self.link_strikes(Fault::LinkPartitioned) {
            return;
        }
        let until = self.now() + Duration::from_millis(self.link.rng.below(PARTITION_MS));
        let ways: &[usize] = match self.link.rng.below(3) {
            0 => &[0],
            1 => &[1],
            _ => &[0, 1],
        };
        for way in ways {
            self.link.cut_until[*way] = until;
        }
        self.record(|| format!("the link is cut in the directions {ways:?} until {until:?}"));
    }

    /// Returns for how long nothing arrives in a direction.
    fn cut_for(&self, direction: Direction) -> Duration {
        // Without faults, the link is whole.
        if !self.faults.has(Fault::LinkPartitioned) {
            return Duration::ZERO;
        }
        self.link.cut_until[direction as usize].saturating_sub(self.now())
    }

    pub(super) fn is_cut(&self) -> bool {
        let ways = [Direction::ToControlPlane, Direction::ToWorker];
        ways.iter().any(|way| !self.cut_for(*way).is_zero())
    }

    /// Draws how long a message takes. One that is sent into a cut link arrives when it is
    /// whole again, as by TCP.
    pub(super) fn draw_transit(&mut self, direction: Direction) -> Duration {
        let slow = self.link_strikes(Fault::LinkSlow);
        let takes = self.link.rng.below(if slow { SLOW_MS } else { 5 });
        self.cut_for(direction) + Duration::from_millis(takes)
    }
}
