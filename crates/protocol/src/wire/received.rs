//! What a worker has received of its spec. No input and no output: the poller of a worker
//! fills it, its engine loads from it, and the simulation of the node does both with a link
//! that loses, delays, repeats and cuts.

use super::{SpecFingerprints, SpecQuery, SpecUpdate, SpecUpdateError};
use crate::{NodeSpec, SpecAnswer};

/// See the module.
#[derive(Debug, Default)]
pub struct ReceivedSpec {
    spec: Option<NodeSpec>,
    /// `None` if the next update has to be whole.
    fingerprints: Option<SpecFingerprints>,
    /// The generation of the last restore of the database, 0 for none.
    restored: u64,
    /// The highest generation that the engine had in force, or in its checkpoint.
    in_force: u64,
}

impl ReceivedSpec {
    /// Returns what to ask for.
    pub fn query(&self, wait: u64) -> SpecQuery {
        let have = self.spec.as_ref().map_or(0, |spec| spec.generation);
        let digest = self.fingerprints.as_ref();
        SpecQuery {
            since: have.max(self.in_force),
            digest: digest.map(SpecFingerprints::digest),
            wait,
        }
    }

    /// Takes what a control plane has sent. Returns whether it is something new; the next
    /// query asks for everything if it does not fit. What is older than what was asked about is
    /// an answer that comes late: taken, it would be what an unreadable tenant keeps.
    ///
    /// # Errors
    /// [`SpecUpdateError::Misfit`].
    pub fn take(&mut self, update: SpecUpdate) -> Result<bool, SpecUpdateError> {
        if update.spec.generation < self.query(0).since {
            return Ok(false);
        }
        let known = self.fingerprints.take().unwrap_or_default();
        let restored = update.restored;
        let (spec, fingerprints) = update.apply(self.spec.as_ref(), &known)?;
        let new = self.spec.as_ref() != Some(&spec);
        if restored {
            self.restored = spec.generation;
        }
        self.fingerprints = Some(fingerprints);
        self.spec = Some(spec);
        Ok(new)
    }

    /// Makes the next query ask for everything.
    pub fn forget(&mut self) {
        self.fingerprints = None;
    }

    /// Returns what an engine that has this generation in force may follow; `None` where
    /// nothing was received, or only what is older.
    pub fn load(&mut self, in_force: u64) -> Option<SpecAnswer> {
        self.in_force = self.in_force.max(in_force);
        let spec = self.spec.as_ref()?;
        (spec.generation >= in_force).then(|| SpecAnswer {
            // The engine that has it in force has been told of its restore.
            restored: in_force < self.restored,
            spec: spec.clone(),
        })
    }

    /// Returns whether anything was received.
    pub const fn is_received(&self) -> bool {
        self.spec.is_some()
    }

    /// Returns the highest generation that the engine had in force, or in its checkpoint.
    pub const fn in_force(&self) -> u64 {
        self.in_force
    }
}
