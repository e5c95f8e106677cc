//! The operators: their accounts and their overview of the nodes.

mod accounts;
mod audit;
mod log;
mod names;
mod overview;
mod resources;

pub use accounts::{OperatorLink, OperatorWelcome};
pub use audit::{AuditFormat, AuditQuery};
pub use log::{LoggedEvent, Numbered};

use crate::inner::Inner;

/// The handle on the operators and their overview.
#[derive(Clone, Copy)]
pub struct Operators<'a>(pub(crate) &'a Inner);
