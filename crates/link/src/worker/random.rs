//! Random numbers that need not be secret: pauses, and the name of this process.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns a random number. Each `RandomState` has other keys, which the first of a thread
/// takes from the system's randomness.
pub(super) fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}
