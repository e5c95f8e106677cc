//! `maliknode worker`: this machine as a node of a control plane on another machine.
//! It runs the same node as `serve`. The spec comes over the wire, and while no control
//! plane answers, from the checkpoint on its own disk.

mod files;
mod join;
mod run;

pub use join::{JoinArguments, join};
pub use run::run;

pub(crate) use files::{Membership, listed_control_planes, stored_identity};
