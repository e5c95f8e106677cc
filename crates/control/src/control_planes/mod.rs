//! Several control planes on one database: which there are, and which of them does what only
//! one does at a time.

mod clock;
mod leases;

pub(crate) use clock::SharedClock;
pub(crate) use leases::{Leases, Side};
