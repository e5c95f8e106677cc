//! A control plane of the simulation: it knows the fingerprints of what it has sent, and
//! forgets them when it dies.

use protocol::{
    NodeSpec,
    wire::{SpecDigest, SpecFingerprints, SpecQuery, SpecUpdate},
};

/// How many specs are known by their digests.
const KNOWN: usize = 64;

/// See the module.
#[derive(Default)]
pub(super) struct ControlPlane {
    /// The highest generation that was sent, 0 for none.
    pub generation: u64,
    known: Vec<(SpecDigest, SpecFingerprints)>,
}

impl ControlPlane {
    /// Returns the bytes that lead from what a worker has to this spec; `None` if it is the
    /// same.
    pub fn answer(
        &mut self,
        query: &SpecQuery,
        spec: &NodeSpec,
        restored: bool,
    ) -> Result<Option<Vec<u8>>, String> {
        let prints = SpecFingerprints::of(spec, None).map_err(|e| e.to_string())?;
        let digest = prints.digest();
        self.known.retain(|(known, _)| *known != digest);
        self.known.insert(0, (digest.clone(), prints.clone()));
        self.known.truncate(KNOWN);
        self.generation = self.generation.max(spec.generation);
        let has = query.digest.as_ref();
        if !restored && has == Some(&digest) && query.since == spec.generation {
            return Ok(None);
        }
        let mut known = self.known.iter().filter(|_| !restored);
        let before = known.find(|(known, _)| has == Some(known));
        let before = before.map(|(_, prints)| prints);
        let update = SpecUpdate::between(before, spec, &prints, restored);
        let bytes = update.to_bytes().map_err(|e| e.to_string())?;
        Ok(Some(bytes.to_vec()))
    }
}
