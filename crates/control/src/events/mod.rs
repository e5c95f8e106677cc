//! The event log: external changes of the machine, and which parts failed and
//! recovered.

mod failure_tracker;
mod hand_over;
mod log;
mod record;
mod subject;
#[cfg(test)]
mod tests;
mod timing;
mod writer;

pub use log::{Events, TenantEvent};
pub(crate) use log::{OPERATOR_EVENTS, for_operator, operator_row};
pub(crate) use timing::Timing;
pub(crate) use writer::EventWriter;
