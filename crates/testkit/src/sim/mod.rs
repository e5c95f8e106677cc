//! A seeded simulation of everything around the node: a machine whose calls
//! fail in every possible way, external changes to it, a database that refuses,
//! users who change their minds, and a process that dies. One seed is one
//! history, and replays to the last step.
//!
//! [`process::run`] plays a history. After every change of the machine
//! [`invariants`] are checked; at the end, when the faults have stopped, the
//! machine must become what the [`model`] says.

mod call;
mod earlier_spec;
pub mod faults;
mod interference;
mod invariants;
mod link;
pub mod logs;
pub mod machine;
pub mod model;
mod outcome;
mod ports;
pub mod process;
pub mod rng;
mod row_loss;
mod rows;
mod specs;
mod state;
mod stored_spec;
mod trace;

pub use link::Wire;
pub use state::{Foreign, Sim, SimState};
