//! The record of a history: printed for a person, and hashed to compare two
//! plays of one seed.

use super::SimState;

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
}

impl SimState {
    /// Prints a line without hashing it. For steps whose order tokio itself
    /// draws (which of several waiting tasks wakes first) and on which nothing
    /// else depends.
    pub fn record_unordered(&mut self, text: impl FnOnce() -> String) {
        if self.trace.verbose {
            eprintln!("{:>10.3} {}", self.now().as_secs_f64(), text());
        }
    }

    /// Adds a line to the trace.
    pub fn record(&mut self, text: impl FnOnce() -> String) {
        let text = text();
        for b in text.bytes() {
            self.trace.hash = (self.trace.hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.trace.verbose {
            eprintln!("{:>10.3} {text}", self.now().as_secs_f64());
        }
    }

    /// Returns the hash of the trace so far.
    pub fn hash(&self) -> u64 {
        self.trace.hash
    }
}
