//! What the link of a worker is like: who is asked, what has arrived, and until when nothing
//! passes.

use super::control_plane::ControlPlane;
use crate::sim::{faults::Faults, rng::SplitMix64};
use protocol::{SpecAnswer, wire::ReceivedSpec};
use std::time::Duration;

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToControlPlane,
    ToWorker,
}

/// The state of the link.
pub struct Link {
    pub(super) is_worker: bool,
    /// Whether the history plays it: another database than the model has none.
    pub(super) is_used: bool,
    /// Of its own, so that histories without a link stay as they are.
    pub(super) rng: SplitMix64,
    pub(super) received: ReceivedSpec,
    pub(super) control_planes: [ControlPlane; 3],
    /// The control plane that is asked.
    pub(super) asked: usize,
    /// The machine's time until which nothing arrives at the control planes, and at the
    /// worker.
    pub(super) cut_until: [Duration; 2],
    /// The number of restores of the database.
    pub(super) restores: u64,
}

impl Link {
    /// Creates the link of a history, if it has one, and draws its faults.
    pub fn new(seed: u64, faults: &mut Faults) -> Self {
        let mut rng = SplitMix64::new(seed ^ 0x006c_696e_6b00);
        let is_worker = rng.percent(50);
        if is_worker {
            faults.draw_link(&mut rng);
        }
        Self {
            is_worker,
            is_used: false,
            rng,
            received: ReceivedSpec::default(),
            control_planes: Default::default(),
            asked: 0,
            cut_until: [Duration::ZERO; 2],
            restores: 0,
        }
    }

    /// Begins a process: what the one before had received is gone.
    pub fn begin_process(&mut self) {
        self.received = ReceivedSpec::default();
        self.asked = 0;
    }

    /// Returns what has been received, for an engine with this generation.
    pub fn load(&mut self, in_force: u64) -> Option<SpecAnswer> {
        self.received.load(in_force)
    }

    /// Returns the generation that the worker has received, or is on its way.
    pub fn highest(&self) -> u64 {
        let received = self.received.query(0).since;
        let sent = self.control_planes.iter().map(|c| c.generation);
        sent.max().unwrap_or_default().max(received)
    }

    /// Notes a restore: what was sent before does not arrive any more.
    pub fn note_restore(&mut self) {
        self.restores += 1;
        self.control_planes = Default::default();
    }
}
