//! The record of a history: printed for a person, and hashed to compare two
//! plays of one seed.

use std::time::Duration;

/// See the module.
pub(super) struct Trace {
    verbose: bool,
    /// FNV-1a over every line, starting from the seed.
    hash: u64,
}

impl Trace {
    pub(super) fn new(seed: u64, verbose: bool) -> Self {
        Self {
            verbose,
            hash: seed,
        }
    }

    /// Prints a line without hashing it.
    pub(super) fn print(&self, now: Duration, text: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{:>10.3} {}", now.as_secs_f64(), text());
        }
    }

    /// Adds a line.
    pub(super) fn add(&mut self, now: Duration, text: String) {
        for b in text.bytes() {
            self.hash = (self.hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
        self.print(now, || text);
    }

    /// Returns the hash of the lines so far.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }
}
