//! Tokens, certificates, and whole TLS 1.3 handshakes over a duplex in memory.

// A failed `unwrap` is a failed test.
#![allow(clippy::unwrap_used, missing_docs)]

mod authorities;
mod joining;
mod requests;
mod rig;
mod tokens;
mod workers;
