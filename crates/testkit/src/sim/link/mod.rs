//! The link between a worker and three control planes: every second history has one. What a
//! control plane sends are the real updates and their bytes, and what a worker receives goes
//! through the real `ReceivedSpec`; the connections are simulated. They lose, delay,
//! repeat and cut what is sent, and the control planes die.
//!
//! It is crueller than the real link, on which an answer that was given up never arrives:
//! here it may, after a newer one of another control plane. Only what was sent before a
//! restore of the database never arrives after it: a worker could not tell the generation
//! of one history from the same of another (docs/reliability/guarantees.md, *After a
//! restore*).

mod control_plane;
mod draws;
mod link_state;
mod wire;

pub(super) use link_state::Link;
pub use wire::Wire;
